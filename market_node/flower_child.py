"""One message to a Flower client, in the Python where Flower is installed; nothing of this package is imported.

    python -I flower_child.py FOLDER

Reads `request.json` and `in.safetensors` of FOLDER, in the client's order; writes `out.safetensors`, whose tensors are
called "0", "1", …, and last `reply.json`: the client's own names for them and its metrics, or one line that says what
went wrong. See `market_node.flower`, which is at the other end.
"""

import importlib
import inspect
import json
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, Metadata, RecordDict
from flwr.client import Client, NumPyClient
from flwr.clientapp import ClientApp
from safetensors.numpy import load_file, save_file

RUN, NODE = 1, 1
LONGEST = 86_400.0
"""Seconds for which a message lives. Who waits has a limit of its own."""

OUT = "out.safetensors"

LEGACY = {"train": "fitins", "evaluate": "evaluateins"}
"""What a client from before messages calls what it gets."""


def answer(folder: Path) -> dict[str, Any]:
    """Sends the request's message to its client and writes the arrays that come back."""
    request = json.loads((folder / "request.json").read_text())
    arrays = load_file(folder / "in.safetensors")
    arrays = {name: arrays[name] for name in request["order"]}
    sys.path.insert(0, request["folder"])
    context = Context(RUN, NODE, request["node_config"], RecordDict(), request["run_config"])
    if request["kind"] == "losses":
        found = find(request["losses"])
        seed(request["seed"])
        return {"losses": [float(loss) for loss in found(arrays, context)]}
    app = as_app(find(request["client"]))
    if is_legacy(app) and not request["is_ordered"]:
        raise ValueError("it names no arrays: say in which `order` it has the task's tensors")
    seed(request["seed"])  # after the import, so that both arms of a comparison see the same batches
    reply = app(message(app, request["kind"], arrays, request["config"]), context)
    if reply.has_error():
        raise ValueError(f"it answers with error {reply.error.code}: {reply.error.reason}")
    for name, record in reply.content.config_records.items():
        if name.endswith(".status") and record.get("code"):
            raise ValueError(f"it answers with status {record['code']}: {record.get('message')}")
    back = {name: array for record in reply.content.array_records.values() for name, array in record.items()}
    plainly = {str(index): plain(name, array.numpy()) for index, (name, array) in enumerate(back.items())}
    save_file(plainly, folder / OUT)
    metrics = {name: value for record in reply.content.metric_records.values() for name, value in record.items()}
    return {"names": list(back), "metrics": metrics}


def find(path: str) -> Any:
    """What an import path, `package.module:name`, names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def as_app(found: Any) -> ClientApp:
    """A ClientApp of whatever an owner has: one, a client, a class of clients, or a function that makes one."""
    if isinstance(found, ClientApp):
        return found
    if isinstance(found, Client | NumPyClient):
        return ClientApp(lambda context: found.to_client())
    if inspect.isclass(found):
        return as_app(found())
    if callable(found):
        return ClientApp(found)
    raise TypeError(f"{found!r} is no ClientApp, client or function that makes one")


def is_legacy(app: ClientApp) -> bool:
    """Whether the app was made of a client, which knows lists of arrays alone."""
    return app._call is not None


def message(app: ClientApp, kind: str, arrays: Mapping[str, np.ndarray], config: dict[str, Any]) -> Message:
    """The message that a server would send."""
    names = (f"{LEGACY[kind]}.parameters", f"{LEGACY[kind]}.config") if is_legacy(app) else ("arrays", "config")
    record = ArrayRecord(list(arrays.values()))
    if not is_legacy(app):
        record = ArrayRecord(dict(zip(arrays, record.values(), strict=True)))
    content = RecordDict({names[0]: record, names[1]: ConfigRecord(config)})
    return Message(content, metadata=Metadata(RUN, "message", 0, NODE, "", "", time.time(), LONGEST, kind))


def plain(name: str, array: np.ndarray) -> np.ndarray:
    """An array as a model file can have it."""
    if array.dtype.kind != "f":
        raise TypeError(f"its array {name!r} holds {array.dtype}, not floating-point weights")
    return np.ascontiguousarray(array).reshape(array.shape)  # the former makes one dimension of none


def seed(number: int) -> None:
    """Seeds the generators that a client is likely to draw from."""
    random.seed(number)
    np.random.seed(number % (1 << 32))
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


def end_with_the_parent() -> None:
    """Standard input is a pipe of the process that waits for the reply: its end means that nobody waits."""
    sys.stdin.read()
    os._exit(1)


def main(folder: Path, work: Callable[[Path], dict[str, Any]] = answer) -> None:
    """Answers the request in a folder."""
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    try:
        reply = work(folder)
    except BaseException as error:  # whatever the owner's code does: also sys.exit
        traceback.print_exc()
        reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    part = folder / "reply.part"
    part.write_text(json.dumps(reply))
    part.replace(folder / "reply.json")
    sys.stderr.flush()
    os._exit(0)  # threads that the client has left must not hold it up


if __name__ == "__main__":
    main(Path(sys.argv[1]))
