"""What goes to a Flower client and what comes back, without Flower: its place is taken by a script of ten lines.

`tests/flower` has the real one.
"""

import fcntl
import json
import sys
import textwrap
import time
from hashlib import sha1
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from market_node.bare import Bare
from market_node.errors import BadInput, ConfigError
from market_node.flower import FlowerTraining, in_order, mean_loss, named, read_reply
from market_node.retention import SCRATCH, scratch_in
from market_node.trainer import Lesson, learn
from market_node.weights import write_weights

BASE = {"a.bias": torch.zeros(2), "a.weight": torch.zeros(2, 3), "b.weight": torch.zeros(2, 2, dtype=torch.float16)}
ORDER = ("a.weight", "a.bias", "b.weight")
LISTED = [torch.ones(2, 3), torch.full((2,), 2.0), torch.full((2, 2), 3.0, dtype=torch.float64)]

DOUBLES = """\
tensors = load_file(folder / "in.safetensors")
save_file({str(i): 2 * tensors[n] for i, n in enumerate(request["order"])}, folder / "out.safetensors")
reply = {"names": ["0", "1", "2"], "metrics": {"num-examples": 7, "train_loss": 0.5}}
"""


@pytest.fixture
def client(tmp_path):
    """A training whose client does what it is told."""
    write_weights(tmp_path / "base", BASE)

    def of(does: str, **settings) -> FlowerTraining:
        python = tmp_path / "python"
        python.write_text(
            f"#!{sys.executable}\n"
            + textwrap.dedent(
                """\
                import json, os, sys, time
                from pathlib import Path
                from safetensors.numpy import load_file, save_file
                folder = Path(sys.argv[3])
                request = json.loads((folder / "request.json").read_text())
                """
            )
            + textwrap.dedent(does)
            + '\n(folder / "reply.json").write_text(json.dumps(reply))\n'
        )
        python.chmod(0o700)
        plain = {"folder": tmp_path, "base": tmp_path / "base", "samples": 7, "python": python, "client": "c:app"}
        return FlowerTraining(**{**plain, "order": ORDER, **settings})

    return of


def trained(training: FlowerTraining, start=None) -> dict[str, torch.Tensor]:
    model = training.build_model()
    model.load_state_dict(start or {name: torch.ones_like(tensor) for name, tensor in BASE.items()})
    training.train(model, training.load_data().training, seed=3)
    return model.state_dict()


# --- arrays and names ---


def test_arrays_in_the_clients_order_get_the_tasks_names_and_dtypes():
    weights = named(LISTED, ["0", "1", "2"], BASE, ORDER)
    assert {name: float(tensor.reshape(-1)[0]) for name, tensor in weights.items()} == {
        "a.weight": 1.0,
        "a.bias": 2.0,
        "b.weight": 3.0,
    }
    assert {name: tensor.dtype for name, tensor in weights.items()} == {n: t.dtype for n, t in BASE.items()}


def test_arrays_that_the_client_names_need_no_order():
    assert torch.equal(named(LISTED, ORDER, BASE)["a.bias"], LISTED[1])


def test_an_array_that_does_not_fit_is_named_with_its_tensor():
    with pytest.raises(BadInput, match=r"array 0 is \[2, 3\], tensor 'a.bias' of the task is \[2\]"):
        named(LISTED, ["0", "1", "2"], BASE, sorted(BASE))


def test_arrays_without_names_and_without_an_order_are_refused():
    with pytest.raises(BadInput, match=r"'0', '1', '2', the task 'a\.bias', 'a\.weight', 'b\.weight': say `order`"):
        named(LISTED, ["0", "1", "2"], BASE)


def test_an_array_too_few_is_counted():
    with pytest.raises(BadInput, match="gives 2 arrays, the task has 3 tensors"):
        named(LISTED[:2], ["0", "1"], BASE, ORDER)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (ORDER[:2], "'b.weight' is missing"),
        ((*ORDER, "c"), "'c' is not one of the task's tensors"),
        ((*ORDER, ORDER[0]), "twice"),
    ],
)
def test_an_order_has_each_of_the_tasks_tensors_once(order, says):
    with pytest.raises(ConfigError, match=says):
        in_order(BASE, order)


@pytest.mark.parametrize(
    ("metrics", "name", "loss"),
    [({"eval_loss": 0.5, "eval_acc": 1.0}, None, 0.5), ({"train_loss": 1.0, "test_loss": 2.0}, "test_loss", 2.0)],
)
def test_the_mean_loss_is_the_metric_that_is_called_so(metrics, name, loss):
    assert mean_loss(metrics, name) == loss


@pytest.mark.parametrize("metrics", [{}, {"accuracy": 1.0}, {"a_loss": 1.0, "b_loss": 2.0}, {"loss": "low"}])
def test_a_loss_that_could_be_another_is_not_guessed(metrics):
    with pytest.raises(BadInput, match="say in `loss`"):
        mean_loss(metrics)


def test_bare_weights_take_no_others():
    with pytest.raises(BadInput, match=r"'w' is \[3\] where \[2\] is expected"):
        Bare({"w": torch.zeros(2)}).load_state_dict({"w": torch.zeros(3)})


# --- messages ---


def test_a_train_message_goes_out_in_the_clients_order_and_comes_back(client):
    assert all((tensor == 2).all() for tensor in trained(client(DOUBLES)).values())


def test_the_client_is_told_what_a_server_and_its_node_would_say(client, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.flwr.app.components]\nclientapp = "app.client:app"\n'
        "[tool.flwr.app.config]\nbatch = 32\nepochs = 1\n[tool.flwr.app.config.a]\nb = 2\n"
    )
    keep = f"\nPath({str(tmp_path / 'told')!r}).write_text(json.dumps(request))"
    trained(client(DOUBLES + keep, client=None, config={"lr": 0.1}, node_config={"partition-id": 1},
                   run_config={"epochs": 5}))  # fmt: skip
    told = json.loads((tmp_path / "told").read_text())
    assert told["client"] == "app.client:app"
    assert told["run_config"] == {"batch": 32, "epochs": 5, "a.b": 2}
    assert (told["config"], told["node_config"], told["seed"]) == ({"lr": 0.1}, {"partition-id": 1}, 3)


def test_a_client_that_fails_says_why_in_one_line(client):
    with pytest.raises(BadInput, match=r"^the Flower client failed: ValueError: no data$"):
        trained(client('reply = {"error": "ValueError: no data"}'))


def test_a_client_that_ends_without_an_answer_is_named(client):
    with pytest.raises(BadInput, match="exit code 3 and no answer"):
        trained(client("sys.exit(3)"))


def test_a_client_that_hangs_is_ended_with_what_it_has_started(client, tmp_path):
    lock = tmp_path / "lock"
    forks = f"""
        import fcntl
        held = open({str(lock)!r}, "w")
        fcntl.flock(held, fcntl.LOCK_EX)  # and so does its child
        os.fork()
        time.sleep(600)
    """
    with pytest.raises(BadInput, match="did not answer in 2 s"):
        trained(client(forks, longest=2.0))
    with open(lock) as free:
        end = time.monotonic() + 10
        while True:
            try:
                fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < end, "somebody still holds the lock"
                time.sleep(0.01)


@pytest.mark.parametrize(
    "reply", ["None", "{}", '{"names": [1], "metrics": {}}', '{"names": [], "metrics": 1}', '"a" * 2**21']
)
def test_an_answer_that_is_none_cannot_be_read(client, reply):
    with pytest.raises(BadInput, match="cannot be read"):
        trained(client(f"reply = {reply}"))


def test_a_file_much_larger_than_the_task_is_not_opened(client):
    large = 'open(folder / "out.safetensors", "wb").truncate(1 << 30)'
    with pytest.raises(BadInput, match="gives 1073741824 bytes of arrays"):
        trained(client(DOUBLES + large))


def test_a_client_that_trains_on_fewer_samples_than_its_owner_claims_is_refused(client):
    with pytest.raises(BadInput, match="trained on 7 samples, `samples` says 9"):
        trained(client(DOUBLES, samples=9))


def test_a_mean_loss_is_one_sample_so_that_nobody_rates_by_it(client):
    training = client('reply = {"names": [], "metrics": {"eval_loss": 0.5}}')
    shares = training.load_data()
    assert len(shares.holdout) == 1
    assert training.evaluate(training.build_model(), shares.holdout).tolist() == [0.5]


def test_a_function_of_the_owners_gives_a_loss_per_sample(client):
    training = client('reply = {"losses": [0.5, 0.25]}', losses="mine:losses", holdout=2)
    shares = training.load_data()
    assert training.evaluate(training.build_model(), shares.holdout).tolist() == [0.5, 0.25]


def test_an_answer_that_is_nested_too_deep_cannot_be_read(tmp_path):
    (tmp_path / "reply.json").write_text("[" * 200_000)
    with pytest.raises(BadInput, match="cannot be read"):
        read_reply(tmp_path / "reply.json", "train")


def test_models_in_clear_lie_where_a_killed_nodes_are_swept(client, tmp_path):
    training = client(DOUBLES + f'Path("{tmp_path}/where").write_text(str(folder))')
    with scratch_in(str(tmp_path / "home" / SCRATCH)):
        trained(training)
    folder = Path((tmp_path / "where").read_text())
    assert folder.parent == tmp_path / "home" / SCRATCH
    assert not folder.exists()


def test_a_node_takes_a_lesson_from_a_flower_client(client, tmp_path):
    training = client(DOUBLES.replace("train_loss", "loss"))
    module = f"from market_node.flower import FlowerTraining\nalice = {training!r}".replace("PosixPath", "str")
    (tmp_path / "flower_of_alice.py").write_text(module)
    save_file({name: torch.ones_like(tensor) for name, tensor in BASE.items()}, tmp_path / "start")
    out = tmp_path / "out.safetensors"
    learned = learn(Lesson("flower_of_alice:alice", str(tmp_path), str(tmp_path / "start"), str(out), seed=1))
    assert (learned.samples, learned.loss) == (7, 0.5)
    assert all((tensor == 2).all() for tensor in load_file(out).values())


def test_the_examples_client_is_flowers_own():
    """The hash by which git names the file in Flower's repository: examples/quickstart-pytorch, commit fdef7afb."""
    code = (Path(__file__).parents[2] / "examples/flower/pytorchexample/client_app.py").read_bytes()
    blob = b"blob %d\0" % len(code) + code
    assert sha1(blob, usedforsecurity=False).hexdigest() == "95efa9b76ed44a82abe7a0dd2ac9ff2a392d69cd"
