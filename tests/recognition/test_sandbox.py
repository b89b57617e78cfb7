"""A stranger's model: refused where it could read, grow or run on, asked in a process that may be lost, and nobody else waits for it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.errors import ModelError
from ser_core.recognition import sandbox
from tests.support.waiting import gone, until
from tools import foreign_networks

ROOT = Path(__file__).resolve().parents[2]
LABELS = catalogue.LABELS
pytestmark = pytest.mark.slow
WINDOWS = (
    np.random.default_rng(0).normal(size=(3, foreign_networks.N_FRAMES, foreign_networks.N_COLUMNS)).astype(np.float32)
)
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="there the time is all that is limited")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not limited so")


def model(network) -> sandbox.Model:
    return sandbox.Model("cnn", LABELS, network.SerializeToString())


def foreign(network) -> sandbox.ForeignClassifier:
    return sandbox.ForeignClassifier(LABELS, lambda: model(network))


@pytest.fixture(scope="module")
def process():
    """A process for networks that several tests use, as long as none of them ends it."""
    started = sandbox.Process("frames")
    yield started
    started.end()


@pytest.fixture(scope="module")
def fitted() -> dict[str, classifiers.TrainableClassifier]:
    """A small classifier of every kind that sees vectors."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)).astype(np.float32), np.arange(60) % 2
    vectors = [name for name, spec in classifiers.CLASSIFIERS.items() if spec.input_kind != "frames"]
    return {name: classifiers.build(name, LABELS[:2]).fit(X, y) for name in vectors}


def saved(classifier: classifiers.TrainableClassifier, folder: Path) -> bytes:
    return (folder / classifier.save(folder)[0]).read_bytes()


def test_a_network_answers_there_as_it_does_here(process):
    honest = foreign_networks.honest()
    process.load(model(honest))
    answers, seconds = process.predict(WINDOWS)
    here = classifiers.load_foreign("cnn", honest.SerializeToString(), LABELS)
    np.testing.assert_array_equal(answers, here.predict_proba(WINDOWS))
    assert 0 <= seconds < 2


def test_every_kind_that_sees_vectors_answers_there_as_it_does_here(fitted, tmp_path):
    X = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    process = sandbox.Process("vector")
    try:
        for name, classifier in fitted.items():
            process.load(sandbox.Model(name, LABELS[:2], saved(classifier, tmp_path)))
            np.testing.assert_array_equal(process.predict(X)[0], classifier.predict_proba(X), err_msg=name)
    finally:
        process.end()


@pytest.mark.parametrize("place", foreign_networks.PLACES)
def test_no_tensor_anywhere_may_be_in_another_file(place):
    network = foreign_networks.honest()
    foreign_networks.PLACES[place](network, foreign_networks.outside("secret"))
    with pytest.raises(ModelError, match=r"refers to other files|parts that none of our networks has"):
        classifiers.load_foreign("cnn", network.SerializeToString(), LABELS)


def test_a_tensor_that_names_a_file_and_says_that_it_does_not_is_refused_too():
    tensor = foreign_networks.outside("secret")
    tensor.data_location = TensorProto.DEFAULT
    with pytest.raises(ModelError, match="refers to other files"):
        classifiers.load_foreign("cnn", foreign_networks.honest(initializers=[tensor]).SerializeToString(), LABELS)


def quantized():
    network = foreign_networks.honest()
    network.graph.quantization_annotation.add(tensor_name="x")
    return network


def typed(kind: str):
    network = foreign_networks.honest()
    getattr(network.graph.value_info.add(name="v").type, kind).SetInParent()
    return network


def claiming(*dims: int):
    return foreign_networks.honest(initializers=[TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)])


def shaped(*dims: int):
    network = foreign_networks.honest()
    network.graph.value_info.append(helper.make_tensor_value_info("v", TensorProto.FLOAT, dims))
    return network


LARGE = {
    "a giant shape": claiming(2**40),
    "a shape whose product is giant": claiming(2**20, 2**20),
    "a shape below nothing": claiming(-1),
    "a shape of many dimensions": claiming(*[1] * 100),
    "a giant shape between": shaped(2**40),
    "many nodes": foreign_networks.multiplying(20_000),
    "many numbers": foreign_networks.honest(
        helper.make_node("Constant", [], ["c"], value_ints=range(2**18)),
        initializers=[
            helper.make_tensor(f"w{n}", TensorProto.FLOAT, [2**18], np.zeros(2**18, np.float32).tobytes(), raw=True)
            for n in range(64)
        ],
    ),
}


@pytest.mark.parametrize("network", LARGE.values(), ids=LARGE)
def test_a_network_larger_than_ours_are_is_refused_by_what_it_says(network):
    with pytest.raises(ModelError, match="larger than any network of ours"):
        classifiers.load_foreign("cnn", network.SerializeToString(), LABELS)


STRANGE = {
    "text": foreign_networks.honest(initializers=[helper.make_tensor("w", TensorProto.STRING, [1], [b"x"])]),
    "half a number": foreign_networks.honest(initializers=[helper.make_tensor("w", TensorProto.FLOAT16, [1], [1.0])]),
    "a loop": foreign_networks.network(helper.make_node("Loop", ["x"], ["y"])),
    "quantization": quantized(),
    "a sequence": typed("sequence_type"),
    "a map": typed("map_type"),
    "an optional value": typed("optional_type"),
}


@pytest.mark.parametrize("network", STRANGE.values(), ids=STRANGE)
def test_a_network_of_parts_that_ours_do_not_have_is_refused(network):
    with pytest.raises(ModelError, match="none of our networks has"):
        classifiers.load_foreign("cnn", network.SerializeToString(), LABELS)


@pytest.mark.parametrize(
    ("depth", "sentence"), [(1, "none of our networks has"), (20, "none of our networks has"), (5000, "ONNX format")]
)
def test_branches_in_branches_are_refused_however_deep(depth, sentence):
    with pytest.raises(ModelError, match=sentence):
        classifiers.load_foreign("cnn", foreign_networks.nested(depth), LABELS)


SHUT_IN = """
import sys
from ser_core.recognition import sandbox
from ser_core.classifiers import _onnx
kind, secret, content = sys.argv[1], sys.argv[2], sys.stdin.buffer.read()
sandbox._load_libraries(kind)
sandbox._shut_in()
tries = {
    "open": lambda: open(secret).read(), "write": lambda: open("mine", "w"), "socket": lambda: __import__("socket").socket(),
    "process": lambda: __import__("os").fork(), "network": lambda: _onnx.OnnxClassifier.read(content, ("a",) * 8),
}
for name, act in tries.items():
    try:
        act()
        print(name, "done", flush=True)
    except Exception as error:
        print(name, "refused", flush=True)
"""


@UNIX
@pytest.mark.parametrize("kind", ["frames", "vector"])
def test_even_what_passes_every_check_can_open_no_file_there(tmp_path, kind):
    (tmp_path / "secret").write_bytes(b"the admin word is nightingale!!!")
    content = foreign_networks.reading("secret").SerializeToString()
    done = subprocess.run(
        [sys.executable, "-c", SHUT_IN, kind, str(tmp_path / "secret")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        input=content,
        capture_output=True,
        check=True,
    )
    told = done.stdout.decode().splitlines()
    assert {"open refused", "write refused", "socket refused", "network refused"} <= set(told), told
    if os.geteuid():
        assert "process refused" in told


@LINUX
def test_the_process_has_an_empty_folder_and_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("SER_ADMIN_WORD", "nightingale")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    process = sandbox.Process("frames")
    try:
        seen = psutil.Process(process.id)
        folder = seen.cwd()
        assert os.listdir(folder) == [] and not Path(folder).is_relative_to(ROOT)
        assert not {name for name in seen.environ() if name.startswith(("SER_", "PYTHON", "COVERAGE", "STREAMLIT"))}
        assert "nightingale" not in seen.environ().values() and "nightingale" not in " ".join(seen.cmdline())
    finally:
        process.end()
    assert not Path(folder).exists()


@LINUX
def test_what_grows_beyond_all_bounds_is_refused_and_takes_nothing_of_this_process():
    network = model(foreign_networks.expanding(30_000))
    assert len(network.content) < 1000
    before = psutil.Process().memory_info().rss
    with pytest.raises(ModelError, match="more than 1 GB of memory"):
        sandbox.try_out(network, WINDOWS)
    assert psutil.Process().memory_info().rss < before + 2**26


@UNIX
def test_what_takes_minutes_is_refused_after_seconds_of_processor_time():
    network = model(foreign_networks.multiplying(100, size=2000))
    assert len(network.content) < 4000
    before = os.times().children_user
    with pytest.raises(ModelError, match="more than 250 ms for a clip"):
        sandbox.try_out(network, WINDOWS)
    assert os.times().children_user - before < 15


def test_what_takes_longer_than_it_may_is_refused(monkeypatch):
    monkeypatch.setattr(sandbox, "MOST_MS", -1)
    with pytest.raises(ModelError, match="ms for a clip"):
        sandbox.try_out(model(foreign_networks.honest()), WINDOWS)


def test_a_trial_has_an_end_by_the_clock(monkeypatch):
    monkeypatch.setattr(sandbox, "TRIAL_S", 0.0)
    with pytest.raises(ModelError, match="does not end at all"):
        sandbox.try_out(model(foreign_networks.multiplying(100, size=2000)), WINDOWS)


def test_answers_that_are_no_probabilities_are_refused():
    first = helper.make_node("Slice", ["mean", "from", "to", "axis"], ["y"])
    mean = helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0)
    with pytest.raises(ModelError, match="not probabilities"):
        sandbox.try_out(model(foreign_networks.network(mean, first, initializers=foreign_networks.CUT)), WINDOWS)


@pytest.fixture
def broken(fitted, tmp_path) -> sandbox.Model:
    """A forest whose trees end the process that reads them."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(fitted["forest"], tmp_path))) as archive,
        zipfile.ZipFile(content, "w") as changed,
    ):
        for name in archive.namelist():
            inside = archive.read(name)
            if name.endswith(".npy") and (nodes := np.load(io.BytesIO(inside))).dtype.names:
                target = io.BytesIO()
                np.save(target, np.zeros((), nodes.dtype))
                inside = target.getvalue()
            changed.writestr(name, inside)
    return sandbox.Model("forest", LABELS[:2], content.getvalue())


def test_trees_that_end_the_process_that_reads_them_are_refused(broken):
    with pytest.raises(ModelError, match="ends the program that reads it"):
        sandbox.try_out(broken, np.zeros((1, 5), np.float32))


def test_a_stored_model_that_ends_its_process_says_so_and_is_left_alone_for_a_while(broken, monkeypatch):
    read = []
    stored = sandbox.ForeignClassifier(broken.labels, lambda: read.append(1) or broken)
    for _ in range(3):
        with pytest.raises(ModelError, match="ends the program that reads it"):
            stored.predict_proba(np.zeros((1, 5), np.float32))
    assert len(read) == 1
    monkeypatch.setattr(sandbox, "PAUSE_S", 0.0)
    with pytest.raises(ModelError, match="ends the program that reads it"):
        stored.predict_proba(np.zeros((1, 5), np.float32))
    assert len(read) == 2


def test_a_stored_network_that_reads_a_file_is_refused_when_it_is_asked(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"the admin word is nightingale!!!")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="refers to other files"):
        foreign(foreign_networks.reading("secret")).predict_proba(WINDOWS)


def test_a_slow_model_costs_nobody_more_than_its_own_time():
    slow, other = foreign(foreign_networks.multiplying(100, size=2000)), foreign(foreign_networks.honest())
    other.predict_proba(WINDOWS)
    told = []

    def ask() -> None:
        with pytest.raises(ModelError, match="did not answer within"):
            slow.predict_proba(WINDOWS)
        told.append(1)

    visitors = [threading.Thread(target=ask) for _ in range(5)]
    for each in visitors:
        each.start()
    for _ in range(10):
        other.predict_proba(WINDOWS)
    for each in visitors:
        each.join(30)
    # Whether a process is there at all shows in nothing public: it is started again when asked.
    assert len(told) == 5 and slow._process is None and other._process is not None


def test_a_question_that_it_cannot_answer_costs_the_next_one_nothing():
    asked = foreign(foreign_networks.honest())
    with pytest.raises(ModelError, match="cannot answer"):
        asked.predict_proba(WINDOWS[:, :, :5])
    assert asked.predict_proba(WINDOWS).shape == (3, 8)


def test_where_no_process_can_be_started_that_is_told_and_not_tried_for_a_while(monkeypatch):
    # Nothing that a user can set keeps a process from starting.
    monkeypatch.setattr(sandbox, "_BEGIN", "raise SystemExit")
    asked = foreign(foreign_networks.honest())
    for _ in range(2):
        with pytest.raises(ModelError, match="could not be started"):
            asked.predict_proba(WINDOWS)
        monkeypatch.undo()


def test_who_waits_for_others_too_long_is_told(monkeypatch):
    monkeypatch.setattr(sandbox, "WAIT_S", 0.05)
    busy = foreign(foreign_networks.honest())
    # A model that answers another for longer than anybody waits.
    with busy._turn, pytest.raises(ModelError, match="Too many others use"):
        busy.predict_proba(WINDOWS)
    assert busy.predict_proba(WINDOWS).shape == (3, 8)


def test_a_process_that_was_ended_is_replaced_and_one_that_answers_is_kept():
    asked = foreign(foreign_networks.honest())
    first = asked.predict_proba(WINDOWS)
    pid = asked._process.id
    asked.predict_proba(WINDOWS)
    assert asked._process.id == pid
    psutil.Process(pid).kill()
    np.testing.assert_array_equal(asked.predict_proba(WINDOWS), first)
    assert asked._process.id != pid


def test_many_items_are_sent_in_parts(monkeypatch):
    asked = foreign(foreign_networks.honest())
    at_once = asked.predict_proba(WINDOWS)
    monkeypatch.setitem(sandbox.ITEMS, "frames", 2)
    np.testing.assert_allclose(asked.predict_proba(WINDOWS), at_once, rtol=1e-6)


def test_a_process_that_nobody_asks_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "IDLE_S", 0.2)
    asked = foreign(foreign_networks.honest())
    asked.predict_proba(WINDOWS)
    pid = asked._process.id
    assert gone(pid)
    until(lambda: asked._process is None)  # a moment after the process has gone
    asked.predict_proba(WINDOWS)


def test_the_one_that_was_asked_longest_ago_makes_room(monkeypatch):
    monkeypatch.setattr(sandbox, "MOST_AT_ONCE", 2)
    several = [foreign(foreign_networks.honest()) for _ in range(3)]
    for each in several:
        each.predict_proba(WINDOWS)
    assert [each._process is None for each in several] == [True, False, False]


def test_a_model_that_is_asked_no_more_has_no_process():
    asked = foreign(foreign_networks.honest())
    asked.predict_proba(WINDOWS)
    pid = asked._process.id
    del asked
    assert gone(pid)


AT_WORK = """
import threading, time
import numpy as np
from ser_core.recognition import sandbox
from tools import foreign_networks
process = sandbox.Process("frames")
if {at_work}:
    sandbox.Process.load(process, sandbox.Model("cnn", tuple("abcdefgh"), foreign_networks.multiplying(200, size=2000).SerializeToString()))
    windows = np.ones((1, 160, 110), np.float32)
    threading.Thread(target=process.predict, args=(windows,), kwargs=dict(limit_s=600, processor_s=3), daemon=True).start()
    time.sleep(0.5)
print(process.id, flush=True)
{end}
"""


@UNIX
@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "at work"])
@pytest.mark.parametrize("killed", [False, True], ids=["exit", "kill"])
def test_it_ends_with_its_server(killed, at_work):
    script = AT_WORK.format(at_work=at_work, end="time.sleep(600)" if killed else "input()")
    server = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pid = int(server.stdout.readline())
    if killed:
        server.kill()
    else:
        server.stdin.write("\n")
        server.stdin.flush()
    server.wait(30)
    server.stdin.close()
    server.stdout.close()
    assert gone(pid)


LIES = {
    "no JSON": b"hello\n",
    "half a line": b'{"probabilities": [',
    "a list": b"[]\n",
    "nothing of what was asked": b"{}\n",
    "text for numbers": b'{"probabilities": [["a"]], "seconds": 0}\n',
    "a giant number": b'{"probabilities": [], "seconds": 1' + b"0" * 400 + b"}\n",
    "depth": b"[" * 100_000 + b"\n",
    "a pickle": b"\x80\x04cposix\nsystem\n(X\x01\x00\x00\x00atR.\n",
    "more than may be": b'{"probabilities": [' + b"0," * 2**20 + b"0]}\n",
}


@pytest.mark.parametrize("line", LIES.values(), ids=LIES)
def test_a_process_that_says_what_it_may_not_is_ended(line, monkeypatch):
    process = sandbox.Process("frames")
    monkeypatch.setattr(process, "_process", Lying(process._process, line))
    with pytest.raises(sandbox.LostError):
        process.predict(WINDOWS)
    assert gone(process.id)


class Lying:
    """A process that says something else."""

    def __init__(self, process: subprocess.Popen, line: bytes) -> None:
        self._process = process
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO(line)

    def __getattr__(self, name: str):
        return getattr(self._process, name)


@pytest.mark.parametrize(
    "answers", [[[0.5, 0.6]], [[float("nan"), 1.0]], [[2.0, -1.0]], [[1.0]], [], [[0.5, 0.5], [0.5, 0.5]]], ids=str
)
def test_only_probabilities_are_taken_from_it(answers):
    with pytest.raises(ModelError, match="not probabilities"):
        # What a process may say, without a process that says it.
        sandbox._check(np.array(answers, dtype=np.float64), 1, 2)


def test_what_goes_wrong_in_a_model_is_a_sentence():
    honest = foreign_networks.honest().SerializeToString()
    request = {"classifier": "cnn", "labels": list(LABELS)}
    network, told = sandbox.answer(None, request, honest)
    assert told == {}
    assert "could not be loaded" in sandbox.answer(None, {"shape": [0]}, b"")[1]["problem"]
    assert "cannot answer" in sandbox.answer(network, {"shape": [1, 1]}, bytes(4))[1]["problem"]
    assert "ONNX format" in sandbox.answer(None, request, b"\xff")[1]["problem"]
    assert sandbox.answer(network, {"shape": WINDOWS.shape}, WINDOWS.tobytes())[1]["probabilities"]


def test_a_sentence_from_there_is_plain_text_of_some_length(process, monkeypatch):
    process.load(model(foreign_networks.honest()))
    said = '{"problem": "' + "\\u202ea\\u001b[2J" * 1000 + '"}\n'
    monkeypatch.setattr(process, "_process", Lying(process._process, said.encode()))
    with pytest.raises(ModelError) as caught:
        process.predict(WINDOWS)
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 400


def test_a_process_that_cannot_be_started_is_told(monkeypatch):
    monkeypatch.setattr(sandbox, "_BEGIN", "raise SystemExit")
    with pytest.raises(ModelError, match="could not be started"):
        sandbox.Process("frames")


def test_a_model_of_other_labels_is_refused(process):
    with pytest.raises(ModelError, match="does not hold a classifier of 3 labels"):
        process.load(replace(model(foreign_networks.honest()), labels=LABELS[:3]))
