"""The corpus doctor: each defect is built from synthetic clips, found, named and left out; a clean corpus has none."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_core.cli import main
from ser_core.corpora import catalogue, doctor, library, scan
from ser_core.corpora.catalogue import CorpusSpec
from ser_core.errors import ConfigError, CorpusError
from tests.support.shell import SAMPLES

RATE = 16_000
KEYS = ["n_clips", "n_speakers", "labels", "findings"]

TINY = CorpusSpec(
    title="Tiny",
    languages=("English",),
    pattern=re.compile(r"(?P<speaker>[A-Z]{2,3})_(?P<emotion>[a-z]{1,2})(?P<sentence>\d\d)"),
    labels={"h": "happy", "sa": "sad"},
    speakers={"AA": "female", "BB": "male"},
    speaker_aliases={"AAX": "AA"},
    n_clips=12,
    example="AA_h01.wav",
    place="the folder that contains AA_h01.wav",
    licence="none",
    citation="none",
    page="https://example.org/tiny",
)
NAMES = [
    f"{speaker}_{code}{number:02d}" for speaker, code, number in itertools.product(("AA", "BB"), ("h", "sa"), (1, 2, 3))
]


SPOKEN = [
    soundfile.read(SAMPLES / f"{name}.flac", dtype="float32")[0] for name in ("bright", "fast_loud", "flat", "slow_low")
]


def speech(seed: int, *, duration_s: float = 1.0) -> np.ndarray:
    """A stretch of a synthetic voice, faster or slower than it was spoken; every seed sounds another way."""
    rng = np.random.default_rng(seed)
    spoken = SPOKEN[seed % len(SPOKEN)]
    n = round(duration_s * RATE)
    places = rng.uniform(0.25, 0.5) * len(spoken) + np.arange(n) * rng.uniform(0.85, 1.15)
    sound = np.interp(places % (0.95 * len(spoken)), np.arange(len(spoken)), spoken) + 1e-4 * rng.standard_normal(n)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def write(path: Path, samples: np.ndarray, **options: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, **options)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for seed, name in enumerate(NAMES):
        write(folder / f"{name}.wav", speech(seed))
    return folder


@pytest.fixture
def corpus(originals, tmp_path, monkeypatch) -> Path:
    """A clean corpus in a folder that a test may damage, and the row that describes it."""
    monkeypatch.setitem(catalogue.CORPORA, "tiny", TINY)
    counts = doctor.Counts({"happy": 6, "sad": 6}, {"AA": 6, "BB": 6})
    monkeypatch.setitem(doctor.EXPECTED, "tiny", counts)
    return shutil.copytree(originals, tmp_path / "corpus")


def only(folder: Path, name: str = "tiny") -> doctor.Finding:
    """Return the one finding that there is."""
    (finding,) = doctor.check(name, folder).findings
    assert finding.effect and finding.message.endswith(".")
    return finding


def of_kind(kind: str, folder: Path, name: str) -> doctor.Finding:
    (finding,) = [each for each in doctor.check(name, folder).findings if each.kind == kind]
    return finding


def left(folder: Path, kind: str) -> set[str]:
    """Return the names that stay when findings of a kind are left out."""
    clips = scan.scan("tiny", folder)
    surplus = {file for each in doctor.check("tiny", folder).findings if each.kind == kind for file in each.removable}
    stays = [Path(path).relative_to(folder.absolute()).as_posix() not in surplus for path in clips[catalogue.PATH]]
    return set(clips[stays][catalogue.NAME])


def test_a_clean_corpus_has_no_finding(corpus):
    report = doctor.check("tiny", corpus)
    assert report.findings == ()
    assert (report.n_clips, report.n_speakers, report.labels) == (12, 2, {"happy": 6, "sad": 6})


def test_a_report_becomes_the_promised_json(corpus):
    (corpus / "AA_h01.wav").unlink()
    values = json.loads(json.dumps(doctor.check("tiny", corpus).to_dict()))
    assert list(values) == KEYS
    assert values["labels"] == {"happy": 5, "sad": 6}
    (finding,) = values["findings"]
    assert list(finding) == ["kind", "n", "files", "message", "effect"]
    assert (finding["kind"], finding["n"], finding["files"]) == ("missing_clips", 1, [])


@pytest.mark.parametrize("name", doctor.EXPECTED)
def test_expected_counts_add_up_to_the_published_total(name):
    spec, counts = catalogue.CORPORA[name], doctor.EXPECTED[name]
    assert sum(counts.labels.values()) == spec.n_clips
    assert set(counts.labels) == set(spec.labels.values())
    if counts.speakers:
        assert sum(counts.speakers.values()) == spec.n_clips
        assert set(counts.speakers) == set(spec.speakers)


def test_every_kind_says_what_it_does_to_a_score():
    assert all(effect.endswith(".") for effect in doctor.EFFECTS.values())


def test_missing_clips_are_counted_by_label_and_speaker(corpus):
    (corpus / "AA_h01.wav").unlink()
    (corpus / "BB_h02.wav").unlink()
    finding = only(corpus)
    assert (finding.kind, finding.n, finding.files) == ("missing_clips", 2, ())
    assert "10 of the 12 clips" in finding.message
    assert "happy 4 of 6" in finding.message and "AA 5 of 6, BB 5 of 6" in finding.message
    assert TINY.page in finding.message


def test_a_corpus_without_published_counts_is_held_against_its_total(corpus, monkeypatch):
    monkeypatch.delitem(doctor.EXPECTED, "tiny")
    (corpus / "AA_h01.wav").unlink()
    assert only(corpus).n == 1


def test_missing_speakers_are_named(corpus):
    for path in corpus.glob("BB_*"):
        path.unlink()
    clips, speakers = doctor.check("tiny", corpus).findings
    assert (clips.kind, clips.n) == ("missing_clips", 6)
    assert (speakers.kind, speakers.n) == ("missing_speakers", 1)
    assert "1 of the 2 speakers" in speakers.message and "BB has no clip" in speakers.message


def test_files_of_another_name_are_named_and_hidden_ones_passed_over(corpus):
    write(corpus / "more" / "take two.wav", speech(50))
    (corpus / "._AA_h01.wav").write_bytes(b"\0")
    (corpus / "readme.txt").write_text("hello")
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("unknown_name", ("more/take two.wav",))


def test_codes_that_do_not_exist_are_told_from_other_names(corpus):
    write(corpus / "AA_s01.wav", speech(50))
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("unknown_code", ("AA_s01.wav",))
    assert "h, sa" in finding.message


def test_savee_s_is_neither_sad_nor_surprise(tmp_path):
    for seed, name in enumerate(("DC_sa01", "DC_su01", "JK/a01", "DC_s01", "JK/s02")):
        write(tmp_path / f"{name}.wav", speech(seed))
    finding = of_kind("unknown_code", tmp_path, "savee")
    assert set(finding.files) == {"DC_s01.wav", "JK/s02.wav"}
    assert "'s' may stand for sa (sad) or su (surprise), and it is unclear which" in finding.message


def test_songs_among_speech_are_named(tmp_path):
    write(tmp_path / "Actor_01" / "03-01-05-01-01-01-01.wav", speech(1))
    write(tmp_path / "Actor_01" / "03-02-05-01-01-01-01.wav", speech(2))
    finding = of_kind("song", tmp_path, "ravdess")
    assert finding.files == ("Actor_01/03-02-05-01-01-01-01.wav",)
    assert "sung, not spoken" in finding.message


def test_git_lfs_pointers_are_named_once(corpus):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    for name in ("AA_h01", "BB_sa03"):
        (corpus / f"{name}.wav").write_text(pointer)
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("git_lfs_pointer", ("AA_h01.wav", "BB_sa03.wav"))
    assert "git lfs pull" in finding.message
    assert left(corpus, "git_lfs_pointer") == set(NAMES) - {"AA_h01", "BB_sa03"}


def test_nested_second_copies_are_named_and_not_read(corpus, originals):
    shutil.copytree(originals, corpus / "archive" / "tiny")
    write(corpus / "archive" / "tiny" / "AA_h01.wav", speech(1, duration_s=0.5))
    finding = only(corpus)
    assert (finding.kind, finding.n) == ("nested_copy", 12)
    assert "archive/tiny/AA_h01.wav" in finding.files
    assert "in archive/tiny" in finding.message and "1 of them differs in size" in finding.message
    assert left(corpus, "nested_copy") == set(NAMES)


def test_byte_identical_clips_are_named_and_the_first_is_kept(corpus):
    shutil.copy(corpus / "AA_h01.wav", corpus / "AA_h03.wav")
    finding = only(corpus)
    assert (finding.kind, finding.n, finding.files) == ("identical", 2, ("AA_h01.wav", "AA_h03.wav"))
    assert "byte for byte: AA_h01.wav = AA_h03.wav" in finding.message
    assert left(corpus, "identical") == set(NAMES) - {"AA_h03"}


def test_identical_clips_with_different_labels_are_all_left_out(corpus):
    shutil.copy(corpus / "AA_h01.wav", corpus / "AA_sa01.wav")
    finding = only(corpus)
    assert "1 group has different labels" in finding.message
    assert left(corpus, "identical") == set(NAMES) - {"AA_h01", "AA_sa01"}


def test_the_same_samples_in_another_format_are_identical(corpus):
    samples, _ = soundfile.read(corpus / "AA_h01.wav", dtype="int16")
    (corpus / "AA_h03.wav").unlink()
    write(corpus / "AA_h03.flac", samples)
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("identical", ("AA_h01.wav", "AA_h03.flac"))
    assert "same samples" in finding.message


@pytest.mark.parametrize("change", ["quieter", "noisier"])
def test_near_identical_clips_are_named(corpus, rng, change):
    sound = speech(0)
    sound = 0.4 * sound if change == "quieter" else sound + 2e-4 * rng.standard_normal(len(sound))
    write(corpus / "AA_h03.wav", sound)
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("near_identical", ("AA_h01.wav", "AA_h03.wav"))
    assert left(corpus, "near_identical") == set(NAMES) - {"AA_h03"}


def test_near_identical_groups_are_found_across_blocks(corpus, monkeypatch):
    # private: the size of a block, made small
    monkeypatch.setattr(doctor, "_BLOCK", 2)
    for name in ("AA_sa02", "AA_sa03"):
        write(corpus / f"{name}.wav", speech(3) * (0.3 if name == "AA_sa02" else 0.6))
    assert only(corpus).files == ("AA_sa01.wav", "AA_sa02.wav", "AA_sa03.wav")


def test_speakers_that_share_a_recording_may_be_one_person(corpus):
    shutil.copy(corpus / "AA_h01.wav", corpus / "BB_h01.wav")
    identical, shared = doctor.check("tiny", corpus).findings
    assert (identical.kind, shared.kind) == ("identical", "shared_clips")
    assert "AA and BB" in shared.message and shared.files == ("AA_h01.wav", "BB_h01.wav")


def test_a_second_code_of_a_speaker_is_named(corpus):
    (corpus / "AA_h02.wav").rename(corpus / "AAX_h02.wav")
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("speaker_alias", ("AAX_h02.wav",))
    assert "AAX is AA" in finding.message
    assert doctor.check("tiny", corpus).n_speakers == 2


def test_files_that_cannot_be_decoded_are_named_with_the_reason(corpus):
    (corpus / "AA_h01.wav").write_bytes(b"")
    (corpus / "AA_h02.wav").write_bytes(os.urandom(1000))
    (corpus / "AA_h03.wav").unlink()
    (corpus / "AA_h03.wav").symlink_to(corpus / "nowhere.wav")
    finding = only(corpus)
    assert (finding.kind, finding.n) == ("undecodable", 3)
    assert "AA_h01.wav is empty (0 bytes)" in finding.message and "And 1 more" in finding.message
    assert left(corpus, "undecodable") == set(NAMES[3:])


def test_cut_off_files_are_named(corpus):
    path = corpus / "AA_h01.wav"
    path.write_bytes(path.read_bytes()[:20_000])
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("truncated", ("AA_h01.wav",))


def test_an_ending_that_does_not_fit_the_content_is_named(corpus):
    write(corpus / "AA_h01.wav", speech(0), format="AIFF")
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("wrong_ending", ("AA_h01.wav",))
    assert "AA_h01.wav is AIFF" in finding.message


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silent_clips_are_named(corpus, rng, level):
    write(corpus / "AA_h01.wav", level * rng.standard_normal(RATE))
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("silent", ("AA_h01.wav",))


def test_sound_without_a_voice_is_named(corpus, rng):
    write(corpus / "AA_h01.wav", 0.05 * rng.standard_normal(RATE))
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("no_voice", ("AA_h01.wav",))


@pytest.mark.parametrize(("kind", "duration_s"), [("too_short", 0.3), ("too_long", 4.0), ("too_long", 60.0)])
def test_clips_of_unusual_length_are_named(corpus, kind, duration_s):
    write(corpus / "AA_h01.wav", speech(0, duration_s=duration_s))
    finding = only(corpus)
    assert (finding.kind, finding.files) == (kind, ("AA_h01.wav",))
    assert f"AA_h01.wav {duration_s:.1f} s" in finding.message
    assert left(corpus, kind) == set(NAMES) - {"AA_h01"}


def test_the_two_bad_clips_of_crema_d_are_named(tmp_path):
    for seed in range(12):
        write(tmp_path / f"{1001 + seed}_DFA_ANG_XX.wav", speech(seed, duration_s=2.0))
    write(tmp_path / "1076_MTI_SAD_XX.wav", np.zeros(2 * RATE))
    write(tmp_path / "1064_IEO_DIS_MD.wav", np.tile(speech(40, duration_s=2.0), 31))
    assert of_kind("silent", tmp_path, "cremad").files == ("1076_MTI_SAD_XX.wav",)
    assert of_kind("too_long", tmp_path, "cremad").files == ("1064_IEO_DIS_MD.wav",)


def test_lengths_that_vary_are_no_finding(corpus):
    for seed, name in enumerate(NAMES):
        write(corpus / f"{name}.wav", speech(seed, duration_s=0.8 + 0.3 * seed))
    assert doctor.check("tiny", corpus).findings == ()


def test_in_few_clips_only_the_bounds_tell_an_unusual_length(corpus):
    for path in corpus.glob("*_sa*"):
        path.unlink()
    write(corpus / "AA_h01.wav", speech(0, duration_s=4.0))
    assert [each.kind for each in doctor.check("tiny", corpus).findings] == ["missing_clips"]


def test_clipped_clips_are_named_worst_first(corpus):
    for name, gain in (("AA_h01", 4.0), ("BB_sa01", 20.0)):
        write(corpus / f"{name}.wav", np.clip(gain * speech(0 if name == "AA_h01" else 9), -1, 1))
    finding = only(corpus)
    assert (finding.kind, finding.files) == ("clipped", ("BB_sa01.wav", "AA_h01.wav"))
    assert "happy 1" in finding.message and finding.effect.startswith("Mild")


def test_peaks_that_touch_full_scale_are_not_clipped(corpus):
    sound = speech(0)
    write(corpus / "AA_h01.wav", sound / np.abs(sound).max())
    assert doctor.check("tiny", corpus).findings == ()


@pytest.fixture
def moods(originals, tmp_path) -> Path:
    """The same recordings in folders named after labels, without a word of who speaks."""
    for name in NAMES:
        write_to = tmp_path / "moods" / ("joy" if "_h" in name else "Sad") / f"{name}.wav"
        write_to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(originals / f"{name}.wav", write_to)
    return tmp_path / "moods"


def test_folders_of_labels_are_checked_for_all_that_no_published_fact_is_needed_for(moods):
    finding = only(moods, "moods")
    assert (finding.kind, finding.n, finding.removable) == ("unknown_speaker", 12, finding.files)
    assert "is unknown" in finding.message and "raises a score" in finding.effect
    shutil.copy(moods / "joy" / "AA_h01.wav", moods / "Sad" / "AA_h01.wav")
    write(moods / "AA_h09.wav", speech(50))
    soundfile.write(moods / "Sad" / "BB_sa01.flac", *soundfile.read(moods / "Sad" / "BB_sa01.wav", dtype="int16"))
    report = doctor.check("moods", moods)
    assert (report.n_clips, report.n_speakers, report.labels) == (13, 0, {"happy": 6, "sad": 7})
    found = {each.kind: each.files for each in report.findings}
    assert list(found) == ["unknown_speaker", "unknown_name", "nested_copy", "identical"]
    assert found["unknown_name"] == ("AA_h09.wav",)
    assert found["nested_copy"] == ("Sad/BB_sa01.flac",)
    assert found["identical"] == ("joy/AA_h01.wav", "Sad/AA_h01.wav")


def test_a_table_is_checked_and_names_speakers_that_may_be_one_person(moods):
    shutil.copy(moods / "joy" / "AA_h01.wav", moods / "joy" / "again.wav")
    rows = [
        f"{'joy' if '_h' in name else 'Sad'}/{name}.wav,{'happy' if '_h' in name else 'sad'},{name[:2]}"
        for name in NAMES
    ]
    (moods / "clips.csv").write_text(
        "\n".join(["path,label,speaker", *rows, "joy/again.wav,happy,CC"]), encoding="utf-8"
    )
    identical, shared = doctor.check("moods", moods).findings
    assert (identical.kind, shared.kind) == ("identical", "shared_clips")
    assert "AA and CC" in shared.message


def test_what_is_not_read_need_not_be_left_out(corpus, originals):
    shutil.copytree(originals, corpus / "again")
    write(corpus / "take two.wav", speech(50))
    write(corpus / "AA_s01.wav", speech(51))
    assert {each.kind: each.removable for each in doctor.check("tiny", corpus).findings} == {
        "nested_copy": (),
        "unknown_name": (),
        "unknown_code": (),
    }


def test_leaving_out_works_for_a_folder_given_relatively(corpus, monkeypatch):
    shutil.copy(corpus / "AA_h01.wav", corpus / "AA_h03.wav")
    monkeypatch.chdir(corpus.parent)
    assert left(Path("corpus"), "identical") == set(NAMES) - {"AA_h03"}


def test_progress_reaches_the_total(corpus):
    seen: list[tuple[int, int]] = []
    doctor.check("tiny", corpus, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)


def test_two_processes_find_the_same(corpus):
    shutil.copy(corpus / "AA_h01.wav", corpus / "AA_h03.wav")
    assert doctor.check("tiny", corpus, n_jobs=2) == doctor.check("tiny", corpus)


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_an_impossible_number_of_processes_is_refused(corpus, n_jobs):
    with pytest.raises(ConfigError, match="must be 1 or more"):
        doctor.check("tiny", corpus, n_jobs=n_jobs)


def test_a_folder_without_clips_is_refused(corpus, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="has 0 clips"):
        doctor.check("tiny", tmp_path / "empty")


def test_the_command_prints_json_and_exits_with_0_whatever_it_finds(corpus, capsys):
    shutil.copy(corpus / "AA_h01.wav", corpus / "AA_h03.wav")
    assert main.main(["corpora", "check", "tiny", str(corpus), "--json", "--jobs", "1"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == doctor.check("tiny", corpus).to_dict()
    assert err.splitlines() == ["Read 12 of 12 clips."]


def test_the_command_prints_sentences(corpus, capsys):
    command = ["corpora", "check", "tiny", str(corpus), "--jobs", "1"]
    assert main.main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Nothing found")
    shutil.copy(corpus / "AA_h01.wav", corpus / "AA_h03.wav")
    assert main.main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("12 clips, 2 speakers: happy 6, sad 6\n")
    assert "identical: 2 clips" in out and doctor.EFFECTS["identical"] in out


def test_the_command_leaves_findings_out_until_they_are_used_again(corpus, monkeypatch, capsys):
    corpus.rename(corpus.with_name("tiny"))
    root, folder = corpus.parent, corpus.with_name("tiny")
    monkeypatch.setenv("SER_CORPORA", str(root))
    shutil.copy(folder / "AA_h01.wav", folder / "AA_h03.wav")
    write(folder / "BB_h02.wav", np.zeros(RATE))
    command = ["corpora", "check", "tiny", "--jobs", "1", "--leave-out"]
    assert main.main([*command, "identical,silent"]) == 0
    assert capsys.readouterr().out.endswith("Left out from now on: identical 1, silent 1.\n")
    assert library.left_out(root, "tiny") == {"identical": ("AA_h03.wav",), "silent": ("BB_h02.wav",)}
    assert main.main([*command, "silent"]) == 0
    assert library.left_out(root, "tiny") == {"silent": ("BB_h02.wav",)}
    assert main.main([*command, "none"]) == 0
    assert capsys.readouterr().out.endswith("Left out from now on: none.\n")
    assert library.left_out(root, "tiny") == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{folder}", "--leave-out", "silent"), "Clips are left out of installed corpora"),
        (("--leave-out", "boring"), "no finding of the kind boring"),
    ],
)
def test_what_cannot_be_left_out_is_refused_before_it_is_read(corpus, monkeypatch, capsys, tmp_path, arguments, words):
    shutil.copytree(corpus, tmp_path / "all" / "tiny")
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "all"))
    assert main.main(["corpora", "check", "tiny", *(each.format(folder=corpus) for each in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", "{folder}"), "Corpus 'nonsense' is not known, and"),
        (("tiny", "{folder}/nowhere"), "does not exist"),
        (("ravdess", "{folder}"), "has 0 clips"),
        (("tiny", "{folder}", "--jobs", "0"), "must be 1 or more"),
    ],
)
def test_the_command_exits_with_2_and_one_line_when_the_folder_cannot_be_used(corpus, capsys, arguments, words):
    assert main.main(["corpora", "check", *(each.format(folder=corpus) for each in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert words in err


def own(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        write(folder / f"{name}.wav", speech(100 + number))
    return folder


def test_the_spellings_that_were_joined_to_one_speaker_are_listed(tmp_path):
    spellings = ["Anna", "anna", "Anna", "Zoe\u0308", "Zoë", "Jo\u200b", "Jo", "ben"]
    own(tmp_path, [str(number) for number in range(len(spellings))])
    rows = [f"{number}.wav,happy,{name}" for number, name in enumerate(spellings)]
    (tmp_path / "clips.csv").write_text("\n".join(["path,label,speaker", *rows]), encoding="utf-8")
    report = doctor.check("mine", tmp_path)
    (finding,) = [each for each in report.findings if each.kind == "speaker_spellings"]
    assert (report.n_speakers, finding.n, finding.removable) == (4, 3, finding.files)
    for told in ("'Anna' (2) = 'anna' (1)", r"'Zoe\u0308' (1) = 'Zoë' (1)", r"'Jo\u200b' (1) = 'Jo' (1)"):
        assert told in finding.message
    assert set(finding.files) == {f"{number}.wav" for number in range(7)}


def test_folders_that_name_two_labels_are_told(tmp_path):
    own(tmp_path, ["angry/Joy/1", "angry/Ben/2", "sad/Ben/3", "sad/Joy/4"])
    report = doctor.check("mine", tmp_path)
    found = {each.kind: each for each in report.findings}
    assert report.labels == {"sad": 2, "angry": 2} and "label_conflict" not in found
    assert set(found["two_labels"].files) == {"angry/Joy/1.wav", "sad/Joy/4.wav"}
    assert "angry/Joy/1.wav is angry, not happy" in found["two_labels"].message
    write(tmp_path / "thrilled" / "Joy" / "5.wav", speech(5))
    report = doctor.check("mine", tmp_path)
    found = {each.kind: each for each in report.findings}
    assert report.labels == {"sad": 1, "angry": 1} and "unknown_name" not in found
    assert set(found["label_conflict"].files) == {"angry/Joy/1.wav", "sad/Joy/4.wav", "thrilled/Joy/5.wav"}
    assert (
        "angry/Joy/1.wav (angry or happy)" in found["label_conflict"].message
        and found["label_conflict"].removable == ()
    )


@pytest.mark.parametrize("name", ["happy/2.ra", "happy/2", "more.zip", "happy/2.m4p"])
def test_a_file_with_an_ending_that_is_not_read_is_a_finding(name, tmp_path):
    own(tmp_path, ["happy/1", "sad/1"])
    for other in ("readme.txt", "LICENSE", ".DS_Store", "happy/1.json", "happy/Thumbs.db", ".git/objects/a1"):
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(b"x")
    assert "unread_ending" not in {each.kind for each in doctor.check("mine", tmp_path).findings}
    (tmp_path / name).write_bytes(b"x")
    (finding,) = [each for each in doctor.check("mine", tmp_path).findings if each.kind == "unread_ending"]
    assert (finding.n, finding.files, finding.removable) == (1, (name,), ())
    assert f"({Path(name).suffix or 'none'} 1)" in finding.message


def test_recordings_whose_names_are_twins_are_read_and_copies_are_told(tmp_path):
    for number, name in enumerate(["A.wav", "a.wav", "anna.wav", "anna.flac"]):
        write(tmp_path / "happy" / name, speech(10 + number))
    own(tmp_path, ["sad/1"])
    report = doctor.check("mine", tmp_path)
    assert report.n_clips == 5 and {each.kind for each in report.findings} == {"unknown_speaker"}
    soundfile.write(tmp_path / "happy" / "a.flac", *soundfile.read(tmp_path / "happy" / "a.wav", dtype="int16"))
    report = doctor.check("mine", tmp_path)
    (copy,) = [each for each in report.findings if each.kind == "nested_copy"]
    assert report.n_clips == 5 and copy.files == ("happy/a.flac",)
