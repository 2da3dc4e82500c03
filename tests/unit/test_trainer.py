"""An owner's training gives weights and figures, or one line that says why not; the node goes on either way."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from market_node.adoption import drawn_back, drawn_in, mix
from market_node.errors import BadInput, ConfigError
from market_node.trainer import Apart, Learned, Lesson, Trainer, Within, figures_of, learn, read_learned
from market_node.weights import write_weights

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "trainer.py"

ALICES = """
    import os, sys, time, torch
    from types import SimpleNamespace
    from market_node.data import Examples

    class Training:
        held_out = 40

        def build_model(self):
            return torch.nn.Linear(3, 1)

        def load_data(self):
            inputs = torch.randn(100 + self.held_out, 3, generator=torch.Generator().manual_seed(1))
            all = Examples(inputs, inputs @ torch.tensor([1.0, -2.0, 0.5]))
            return SimpleNamespace(training=all[:100], holdout=all[100:])

        def train(self, model, examples, seed):
            optimiser = torch.optim.SGD(model.parameters(), 0.1)
            for _ in range(20):
                optimiser.zero_grad()
                self.evaluate(model, examples).mean().backward()
                optimiser.step()

        def evaluate(self, model, examples):
            return (model(examples.inputs)[:, 0] - examples.labels).square()

"""


@pytest.fixture
def school(tmp_path, request):
    """Writes a module of its own for each test, with changes to Alice's training, and makes lessons of it."""
    name = f"training_{abs(hash(request.node.name))}"
    base, start, delivered = (tmp_path / f"{what}.safetensors" for what in ("base", "start", "delivered"))
    write_weights(base, {"weight": torch.zeros(1, 3), "bias": torch.zeros(1)})
    write_weights(start, {"weight": torch.tensor([[-1.0, 2.0, 0.5]]), "bias": torch.zeros(1)})
    write_weights(delivered, {"weight": torch.tensor([[1.0, -2.0, 0.5]]), "bias": torch.zeros(1)})

    def lesson(more: str = "", **changes: object) -> Lesson:
        text = textwrap.dedent(ALICES) + textwrap.indent(textwrap.dedent(more), "    ")
        (tmp_path / f"{name}.py").write_text(text)
        out = str(tmp_path / "out.safetensors")
        plain = {"training": f"{name}:Training", "folder": str(tmp_path), "start": str(start), "out": out, "seed": 1}
        if "delivered" in changes:
            plain |= {"base": str(base), "model": str(tmp_path / "model.safetensors")}
        return Lesson(**{**plain, **changes})

    lesson.delivered = str(delivered)
    yield lesson
    sys.modules.pop(name, None)
    if str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))


def test_training_on_lowers_the_loss_and_leaves_weights_and_figures(school):
    lesson = school()
    learned = learn(lesson)
    assert (learned.samples, learned.rating, learned.privacy) == (100, None, None)
    assert learned.loss < learned.loss_before
    assert load_file(lesson.out)["weight"].abs().sum() > 0
    assert read_learned(Path(lesson.out)) == learned


def test_a_delivery_that_is_better_is_mixed_in_and_rated(school):
    learned = learn(school(delivered=school.delivered, sellers=3))
    assert learned.rating == 100
    assert not learned.kept_own


def test_the_model_to_use_lies_beside_the_one_to_train_on_from(school):
    lesson = school("held_out = 0", delivered=school.delivered, sellers=3)
    learned = learn(lesson)
    base, start, delivered, used, tuned = map(
        load_file, (lesson.base, lesson.start, lesson.delivered, lesson.model, lesson.out)
    )
    near = drawn_in(base, start, delivered)
    mixture = mix(start, near, sellers=3, samples=learned.samples)
    assert not tuned["weight"].equal(used["weight"])
    torch.testing.assert_close(used, drawn_back(tuned, mixture, useful=1.0))


def test_the_losses_of_both_are_told(school):
    learned = learn(school(delivered=school.delivered, sellers=3))
    assert learned.loss_used <= learned.loss  # or the hold-out would have said so
    assert learn(school()).loss_used is None


def test_a_mixture_that_diverges_is_dropped_where_no_hold_out_says_so(school):
    diverges = """
        held_out = 0

        def train(self, model, examples, seed):
            if model.weight[0, 0] != -1.0:
                torch.nn.init.constant_(model.weight, float("nan"))
    """
    lesson = school(diverges, delivered=school.delivered, sellers=3)
    assert learn(lesson).kept_own
    assert load_file(lesson.model)["weight"].equal(load_file(lesson.start)["weight"])


def test_without_hold_out_samples_there_is_no_loss_and_no_rating(school):
    learned = learn(school("held_out = 0", delivered=school.delivered, sellers=1))
    assert (learned.loss, learned.loss_before, learned.rating) == (None, None, None)


def test_the_figures_are_there_only_when_the_weights_are(school):
    lesson = school()
    assert read_learned(Path(lesson.out)) is None
    learn(lesson)
    Path(lesson.out).unlink()
    assert read_learned(Path(lesson.out)) is None


def test_what_a_training_claims_of_privacy_is_among_its_figures(school):
    assert learn(school(CLAIMS, is_base=True)).privacy == {"epsilon": 2.5, "delta": 0.01, "unit": "sample"}


CLAIMS = """
    def claim(self):
        from market_node.claim import Claim
        return Claim(2.5, 0.01)
"""


def after(school, change, **figures):
    """A lesson that starts from a model with such figures, and not from a base checkpoint."""
    lesson = school(change)
    figures_of(Path(lesson.start)).write_text(json.dumps(asdict(Learned(100, 0.1, 0.2, 1.0, **figures))))
    return lesson


def test_a_claim_goes_on_from_a_model_that_claims(school):
    before = {"epsilon": 2.0, "delta": 0.01, "unit": "sample"}
    assert learn(after(school, CLAIMS, privacy=before)).privacy["epsilon"] == 2.5


def test_a_model_that_was_trained_without_privacy_in_between_is_not_made_private(school):
    with pytest.raises(BadInput, match="was trained without"):
        learn(after(school, CLAIMS))


def test_a_model_without_figures_is_covered_only_if_it_is_the_base(school):
    with pytest.raises(BadInput, match="was trained without"):
        learn(school(CLAIMS))


def test_what_lies_beside_the_base_is_the_task_and_no_figures(school):
    lesson = school(CLAIMS, is_base=True)
    figures_of(Path(lesson.start)).write_text('{"name": "digits"}')
    assert learn(lesson).privacy["epsilon"] == 2.5


def test_a_training_that_claims_nothing_starts_from_any_model(school):
    assert learn(after(school, "")).privacy is None


def test_an_older_file_of_what_is_spent_is_found_by_what_was_claimed(school):
    before = {"epsilon": 3.0, "delta": 0.01, "unit": "sample"}
    with pytest.raises(BadInput, match="knows of less privacy spent"):
        learn(after(school, CLAIMS, privacy=before))


def test_a_file_of_what_is_spent_that_is_gone_is_found_by_what_was_claimed(school):
    before = {"epsilon": 2.0, "delta": 0.01, "unit": "sample"}
    with pytest.raises(BadInput, match="knows of less privacy spent"):
        learn(after(school, "def claim(self):\n    return None\n", privacy=before))


def test_figures_cut_short_are_none(school):
    lesson = school()
    learn(lesson)
    figures_of(Path(lesson.out)).write_text("{")
    assert read_learned(Path(lesson.out)) is None


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            "def load_data(self): raise RuntimeError('no\\nsuch disk')",
            "failed in load_data: RuntimeError: no such disk",
        ),
        ("def build_model(self): raise ValueError('layers')", "failed in build_model: ValueError: layers"),
        ("def train(self, model, examples, seed): 1 / 0", "failed in train or evaluate: ZeroDivisionError"),
        ("def build_model(self): return torch.nn.Linear(4, 1)", r"tensor 'weight' is \[1, 4\], the task has \[1, 3\]"),
        ("def evaluate(self, model, examples): return torch.zeros(2)", r"gives \[2\] values for 40 samples"),
        ("def load_data(self): return SimpleNamespace(training=[], holdout=[])", "has nothing to train on"),
        ("def train(self, model, examples, seed): model.weight.data.fill_(float('nan'))", "'weight' is not finite"),
    ],
)
def test_what_goes_wrong_in_an_owners_code_is_one_line_that_names_the_method(school, more, complaint):
    lesson = school(more)
    with pytest.raises(BadInput, match=complaint) as refusal:
        learn(lesson)
    assert "\n" not in str(refusal.value)
    assert not Path(lesson.out).exists()


def test_an_import_path_that_leads_nowhere_says_what_it_should_be(school):
    with pytest.raises(ConfigError, match=r"no training at 'nowhere:Training', which should be package\.module:name"):
        learn(school(training="nowhere:Training"))


def test_a_module_that_cannot_be_imported_is_named(school, tmp_path):
    (tmp_path / "broken_training.py").write_text("def")
    with pytest.raises(BadInput, match="'broken_training:Training' failed in its import: SyntaxError"):
        learn(school(training="broken_training:Training"))


def test_a_training_without_one_of_its_methods_is_refused(school, tmp_path):
    (tmp_path / "half_training.py").write_text("class Training:\n    def train(self): ...\n")
    with pytest.raises(ConfigError, match="lacks one of build_model, load_data, train and evaluate"):
        learn(school(training="half_training:Training"))


# --- beside the node ---


def ended(school_class, seconds=60):
    end = time.monotonic() + seconds
    while (outcome := school_class.outcome()) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return outcome


@pytest.mark.parametrize("place", [Apart, Within])
def test_a_lesson_gives_the_same_wherever_it_is_taken(school, place):
    here = learn(school())
    there = ended(place(school()))
    assert isinstance(there, Learned)
    assert (there.loss, there.samples) == (here.loss, here.samples)


@pytest.mark.parametrize("place", [Apart, Within])
def test_a_training_knows_where_models_in_clear_are_swept(school, place, tmp_path):
    told = "def load_data(self): from market_node.retention import new_scratch; raise RuntimeError(new_scratch().name)"
    assert f"RuntimeError: {tmp_path}/scratch/" in ended(place(school(told, scratch=str(tmp_path / "scratch"))))


@pytest.mark.parametrize("place", [Apart, Within])
def test_a_lesson_that_fails_says_why(school, place):
    outcome = ended(place(school("def train(self, model, examples, seed): 1 / 0")))
    assert "ZeroDivisionError" in outcome


def test_a_process_that_dies_is_told_from_one_that_fails(school):
    died = ended(
        Apart(school("def load_data(self): print('out of memory'); sys.stdout.flush(); os.kill(os.getpid(), 9)"))
    )
    assert died == "the training was killed by signal 9 and said last: out of memory"


def test_what_a_training_prints_is_no_answer(school):
    outcome = ended(Apart(school("def train(self, model, examples, seed): print('{\"samples\": 1}')")))
    assert isinstance(outcome, Learned)
    assert outcome.samples == 100


def test_a_lesson_and_what_it_has_started_end_when_its_node_is_killed(school, tmp_path):
    """The node's end is the end of the lesson's standard input."""
    lesson = school(LEAVES_A_CHILD + "        time.sleep(600)\n")
    node = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import time; from market_node.trainer import Apart, Lesson; "
            f"print(Apart({lesson!r}).process.pid, flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert node.stdout is not None
    process, child = int(node.stdout.readline()), left(tmp_path)
    node.kill()
    node.wait()
    assert_dead(process)
    assert_dead(child)


def alive(process: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


LEAVES_A_CHILD = """
    def train(self, model, examples, seed):
        from pathlib import Path
        if (child := os.fork()) == 0:
            time.sleep(600)
            os._exit(0)
        Path(__file__).with_name("child").write_text(str(child))
"""


def test_what_a_training_has_left_running_keeps_nobody_waiting_and_is_ended(school, tmp_path):
    assert isinstance(ended(Apart(school(LEAVES_A_CHILD))), Learned)
    assert_dead(int((tmp_path / "child").read_text()))


def test_stopping_a_lesson_ends_what_it_has_started(school, tmp_path):
    lesson = Apart(school(LEAVES_A_CHILD + "        time.sleep(600)\n"))
    child = left(tmp_path)
    lesson.stop()
    assert_dead(child)


def test_a_child_in_a_session_of_its_own_keeps_nobody_waiting(school, tmp_path):
    ends = 'os.setsid(); time.sleep(30); Path(__file__).with_name("ended").touch()'
    assert isinstance(ended(Apart(school(LEAVES_A_CHILD.replace("time.sleep(600)", ends)))), Learned)
    assert not (tmp_path / "ended").exists()
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def left(folder: Path) -> int:
    """The child of `LEAVES_A_CHILD`, once there is one."""
    end = time.monotonic() + 60
    while not (folder / "child").exists() or not (folder / "child").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    return int((folder / "child").read_text())


def assert_dead(process: int) -> None:
    end = time.monotonic() + 60
    while alive(process):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_lesson_that_takes_too_long_is_stopped(school):
    trainer = Trainer(longest=0.1)
    trainer.begin(("train", 1), school("def train(self, model, examples, seed): time.sleep(600)"))
    time.sleep(0.2)
    assert trainer.outcome() == (("train", 1), "the training was stopped after 0.1 s")
    assert trainer.running is None


def test_an_outcome_is_told_once(school):
    trainer = Trainer(isolate=False)
    trainer.begin(("train", 1), school())
    end = time.monotonic() + 60
    while (told := trainer.outcome()) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert told[0] == ("train", 1)
    assert trainer.outcome() is None


def test_closing_stops_the_lesson(school):
    trainer = Trainer()
    trainer.begin(("train", 1), school("def train(self, model, examples, seed): time.sleep(600)"))
    process = trainer._class.process
    trainer.close()
    assert process.returncode == -signal.SIGKILL
    assert trainer.running is None


def test_the_example_has_thirty_lines_and_learns(tmp_path):
    code = EXAMPLE.read_text().split('"""', 2)[2].strip().splitlines()
    assert len(code) <= 30
    sys.path.insert(0, str(EXAMPLE.parent))
    try:
        from trainer import alice

        write_weights(tmp_path / "base.safetensors", dict(alice.build_model().state_dict()))
        start, out = str(tmp_path / "base.safetensors"), str(tmp_path / "out.safetensors")
        learned = learn(Lesson("trainer:alice", str(EXAMPLE.parent), start, out, seed=1))
    finally:
        sys.path.remove(str(EXAMPLE.parent))
    assert learned.samples == 300
    assert learned.loss < learned.loss_before / 2


def test_nothing_of_a_lesson_is_readable_by_others(school):
    lesson = school()
    learn(lesson)
    assert os.stat(figures_of(Path(lesson.out))).st_mode & 0o077 == 0
