"""Examples whose results cannot be written: each says so in one sentence, before it trains where that can be known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from example_runs import EXAMPLES, environment

from minigrad import save
from minigrad.checks import writable_folder
from minigrad.models import lenet5

COMMANDS = {
    "activations": "--fast",
    "lenet": "--epochs 1",
    "lenet_1998": "--fast",
    "mnist": "--fast",
    "modernise": "--fast",
    "neighbours": "--fast",
    "size_search": "--fast --workers 1",
    "strange_inputs": "--fast",
}

# A disk without room: a limit on the size of files, as the system reports it; a write that reaches no disk.
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
FULL_LATER = """
def fsync(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
os.fsync = fsync
"""


def run(example: str, folder: Path, arguments: str, prelude: str = "") -> subprocess.CompletedProcess:
    """Runs an example in a folder, behind some code that spoils what it finds there."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = str(EXAMPLES / f"{example}.py")
    script = f"import errno, os, runpy, sys\n{prelude}\nsys.path.insert(0, {str(EXAMPLES)!r})\n"
    script += f"sys.argv = [{path!r}, *{arguments.split()!r}]\nrunpy.run_path({path!r}, run_name='__main__')"
    command = [sys.executable, "-B", "-W", "error", "-c", script]  # -B: no half .pyc files where files are limited
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def assert_one_sentence(done: subprocess.CompletedProcess, example: str, *said: str) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith(f"{example}.py: error: ") and done.stderr.count("\n") == 1, done.stderr
    for words in said:
        assert words in done.stderr


def test_every_example_with_an_output_folder_is_tried():
    texts = {path.stem: path.read_text() for path in EXAMPLES.glob("*.py") if path.stem != "clothes"}
    assert COMMANDS.keys() == {name for name, text in texts.items() if '"--out"' in text or 'option_parser("' in text}


@pytest.mark.parametrize("out", ["a_file", "a_file/out"])
@pytest.mark.parametrize("example", COMMANDS)
def test_a_file_in_the_place_of_the_folder_is_named_before_anything_is_trained(tmp_path, example, out):
    (tmp_path / "a_file").touch()
    done = run(example, tmp_path, f"{COMMANDS[example]} --out {out}")
    assert_one_sentence(done, example, f"cannot write results into {out}: Not a directory")
    assert "epoch" not in done.stdout and os.listdir(tmp_path) == ["a_file"]


@pytest.mark.parametrize("example", COMMANDS)
def test_a_full_disk_is_found_before_anything_is_trained(tmp_path, example):
    pytest.importorskip("resource", reason="Windows has no limit on the size of files")
    done = run(example, tmp_path, f"{COMMANDS[example]} --out here", FULL)
    assert_one_sentence(done, example, "cannot write results into here: File too large")
    assert "epoch" not in done.stdout and os.listdir(tmp_path / "here") == []


@pytest.mark.parametrize("example", ["activations", "lenet_1998"])
def test_a_disk_that_is_full_at_the_end_is_said_in_one_line(tmp_path, example):
    save(lenet5().state_dict(), tmp_path / "weights", {"network": "book on fashion-mnist"})
    arguments = "--fast --weights weights" if example == "activations" else "--fast --epochs 1"
    done = run(example, tmp_path, f"{arguments} --out here", FULL_LATER)
    assert_one_sentence(done, example, "No space left on device", "here")
    assert os.listdir(tmp_path / "here") == []


# -- the check itself ----------------------------------------------------------------------------------------------


def test_a_folder_is_made_and_left_as_it_was(tmp_path):
    (tmp_path / "mine").write_text("mine")
    writable_folder(tmp_path)
    assert os.listdir(tmp_path) == ["mine"]
    writable_folder(str(tmp_path / "new" / "folders"))
    assert (tmp_path / "new" / "folders").is_dir() and os.listdir(tmp_path / "new" / "folders") == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has other sentences, and links only for administrators")
def test_a_link_to_nowhere_and_a_long_name_are_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, reason in (("link", "No such file or directory"), ("n" * 300, "File name too long")):
        with pytest.raises(OSError, match=f"^cannot write results into {re.escape(str(tmp_path / name))}: {reason}$"):
            writable_folder(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        writable_folder(tmp_path)
