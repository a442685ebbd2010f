"""safetensors files: what is saved loads again, others' files load too, a failure leaves the old file as it was."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minigrad
from minigrad import Tensor
from minigrad.serialization import load, load_metadata, save, write_atomically

DTYPES = ("float32", "float64", "bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "tensors.safetensors"


def assert_same(loaded: dict[str, Tensor], expected: dict[str, np.ndarray]) -> None:
    assert loaded.keys() == expected.keys()
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].numpy().tobytes() == array.tobytes()


def foreign_file(path: Path, entries: dict[str, tuple[str, list[int], bytes]]) -> Path:
    """A safetensors file put together by hand from (dtype, shape, raw bytes)."""
    header, body = {}, b""
    for name, (dtype, shape, data) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)
    return path


# -- there and back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0,), (2, 0, 3)])
def test_every_dtype_and_shape_comes_back_bit_for_bit(path, dtype, shape):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    save({"x": Tensor(array)}, path)
    assert_same(load(path), {"x": array})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0))),
        max_size=5,
    )
)
def test_any_names_and_values_come_back(path, arrays):
    save({name: Tensor(array) for name, array in arrays.items()}, path)
    assert_same(load(path), arrays)


def test_nan_infinity_and_negative_zero_keep_their_bits(path):
    array = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324])
    save({"x": Tensor(array)}, path)
    assert_same(load(path), {"x": array})


def test_arrays_that_do_not_lie_in_order_are_saved_as_they_look(path):
    base = np.arange(24.0).reshape(2, 3, 4)
    views = {
        "transposed": base.T,
        "every second": base[:, :, ::2],
        "backwards": base[::-1],
        "broadcast": np.broadcast_to(base[0, 0], (5, 4)),
        "fortran": np.asfortranarray(base[0]),
    }
    assert not any(view.flags.c_contiguous for view in views.values())
    numpy = minigrad.backends.get_backend("numpy")
    save({name: Tensor._wrap(view, numpy) for name, view in views.items()}, path)
    assert_same(load(path), {name: np.ascontiguousarray(view) for name, view in views.items()})


def test_tensors_that_share_an_array_are_saved_each(path):
    x = Tensor([1.0, 2.0])
    save({"x": x, "same": x, "detached": x.detach()}, path)
    assert_same(load(path), dict.fromkeys(("x", "same", "detached"), x.numpy()))


def test_a_tensor_that_needs_a_gradient_is_saved_and_loads_as_one_that_does_not(path):
    save({"w": Tensor([1.0], requires_grad=True), "y": Tensor([1.0], requires_grad=True) * 2}, path)
    loaded = load(path)
    assert loaded["y"].item() == 2.0
    assert not loaded["w"].requires_grad and loaded["y"].grad_fn is None


def test_loaded_tensors_have_arrays_of_their_own(path):
    save({"x": Tensor([1.0]), "y": Tensor([2.0])}, path)
    x = load(path)["x"]
    x.data += 1
    assert load(path)["x"].item() == 1.0


def test_an_empty_mapping_is_a_file_too(path):
    save({}, path)
    assert load(path) == {} and load_metadata(path) == {}


def test_tensors_load_onto_the_backend_asked_for(path):
    save({"x": Tensor([1.0])}, path)
    for name in ("numpy", "numba"):
        assert load(path, backend=name)["x"].backend.name == name
        with minigrad.use_backend(name):
            assert load(path)["x"].backend.name == name


def test_an_unknown_backend_is_named(path):
    save({}, path)
    with pytest.raises(minigrad.BackendError, match="no backend named 'abacus'"):
        load(path, backend="abacus")


def test_metadata_come_back(path):
    metadata = {"epochs": "10", "été": "\n\t☃", "": ""}
    save({"x": Tensor(1.0)}, path, metadata)
    assert load_metadata(path) == metadata


def test_paths_may_be_strings(path):
    save({"x": Tensor(1.0)}, str(path), {"a": "b"})
    assert load(str(path)).keys() == {"x"} and load_metadata(str(path)) == {"a": "b"}


def test_equal_tensors_make_equal_files(path, tmp_path):
    tensors = {"b": Tensor([1.0]), "a": Tensor(2)}
    save(tensors, path)
    save(OrderedDict(reversed(tensors.items())), tmp_path / "other")
    assert path.read_bytes() == (tmp_path / "other").read_bytes()


# -- files of others -----------------------------------------------------------------------------------------------


def test_float16_of_a_foreign_file_becomes_float32(path):
    half = np.array([[1.5, -2.0, np.inf], [6e-8, 65504, 0]], np.float16)
    foreign_file(path, {"h": ("F16", [2, 3], half.tobytes())})
    assert_same(load(path), {"h": half.astype(np.float32)})


def test_bfloat16_of_a_foreign_file_becomes_float32(path):
    exact = np.array([1.0, -2.5, 3e38, -0.0, np.inf], np.float32)
    exact = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)  # bfloat16's eight bits of mantissa
    upper = (exact.view(np.uint32) >> 16).astype("<u2")
    foreign_file(path, {"b": ("BF16", [5], upper.tobytes())})
    assert_same(load(path), {"b": exact})


def test_a_dtype_that_minigrad_lacks_is_named(path):
    foreign_file(path, {"tiny": ("F8_E4M3", [2], b"\0\0")})
    with pytest.raises(ValueError, match="tensors.safetensors: tensor 'tiny' has dtype F8_E4M3, which is none of"):
        load(path)


def test_files_go_to_pytorch_and_come_from_it(path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file, save_file

    arrays = {d: np.arange(6).reshape(2, 3).astype(d) for d in DTYPES} | {
        "0-d": np.float32(2.5)[...],
        "none": np.ones((0, 2)),
    }
    save({name: Tensor(array) for name, array in arrays.items()}, path, {"from": "minigrad"})
    theirs = load_file(path)
    assert theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        assert theirs[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(theirs[name].numpy(), array)

    save_file({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, path, {"from": "torch"})
    assert_same(load(path), arrays)
    assert load_metadata(path) == {"from": "torch"}

    halves = {"f16": torch.tensor([1.5, -3.0]).half(), "bf16": torch.tensor([1.5, -3.0]).bfloat16()}
    save_file(halves, path)
    assert_same(load(path), dict.fromkeys(halves, np.array([1.5, -3.0], np.float32)))


# -- files that are no such files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [load, load_metadata])
def test_a_file_cut_short_anywhere_is_an_error_that_names_it(path, read):
    save({"x": Tensor(np.arange(5.0)), "y": Tensor(True)}, path, {"a": "b"})
    whole = path.read_bytes()
    assert len(whole) > 100
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="tensors.safetensors: not a safetensors file, or a damaged one: "):
            read(path)
    path.write_bytes(whole + b"!")
    with pytest.raises(ValueError, match="tensors.safetensors: not a safetensors file"):
        read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.integers(0, 1 << 30), st.integers(1, 255), st.binary(max_size=8))
def test_damaged_bytes_never_raise_anything_but_a_value_error(path, place, flip, inserted):
    save({"x": Tensor(np.arange(5.0)), "y": Tensor(True)}, path, {"a": "b"})
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place] ^= flip
    data[place:place] = inserted
    path.write_bytes(data)
    for read in (load, load_metadata):
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe{}",
        b'{"x": 1}',
        b'{"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"x": {"dtype": "F32", "shape": [9999999999, 9999999999], "data_offsets": [0, 4]}}',
        b'{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"x": {"dtype": "float", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"x": {"dtype": "F32", "shape": [' + b"1," * 69 + b'1], "data_offsets": [0, 4]}}',
        b'{"x": {"dtype": "U8", "shape": [0, 9223372036854775808], "data_offsets": [0, 0]}}',
    ],
)
def test_a_header_that_lies_is_an_error_that_names_the_file(path, header):
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    with pytest.raises(ValueError, match="tensors.safetensors: not a safetensors file"):
        load(path)


def test_a_pickle_is_refused(path):
    import pickle

    path.write_bytes(pickle.dumps({"x": [1.0]}))
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(path)


@pytest.mark.parametrize("read", [load, load_metadata])
def test_a_missing_file_is_called_missing(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere")


# -- wrong arguments write nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "message"),
    [
        ([Tensor(1.0)], None, TypeError, r"expected a mapping from names to Tensors, got list; .*state_dict"),
        ({"x": np.ones(2)}, None, TypeError, r"'x' must be a Tensor, got ndarray; make it one with Tensor"),
        ({"x": Tensor(1), "y": 2.0}, None, TypeError, "'y' must be a Tensor, got float"),
        ({3: Tensor(1.0)}, None, TypeError, "name must be a string, got 3"),
        ({"__metadata__": Tensor(1.0)}, None, ValueError, "reserved"),
        ({}, ["a"], TypeError, "metadata must be a mapping from strings to strings, got list"),
        ({}, {"epoch": 1}, TypeError, "metadata must be strings, got 'epoch': 1; json.dumps"),
        ({}, {1: "a"}, TypeError, "metadata must be strings, got 1: 'a'"),
    ],
)
def test_a_wrong_argument_is_an_error_before_anything_is_written(path, tensors, metadata, error, message):
    path.write_bytes(b"old")
    with pytest.raises(error, match=message):
        save(tensors, path, metadata)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


# -- atomic writes -------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*missing; make it first"):
        save({}, tmp_path / "missing" / "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, step, error):
    def fail(*args):
        raise error

    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_the_bytes_are_on_the_disk_before_the_name_is_theirs(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(("fsync", os.fstat(fd).st_size)) or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append(("replace", Path(a).read_bytes())) or replace(a, b))
    write_atomically(path, b"new")
    assert calls[:2] == [("fsync", 3), ("replace", b"new")]
    assert [name for name, _ in calls[2:]] == ["fsync"]  # the folder
    assert path.read_bytes() == b"new"


def test_what_a_killed_writer_left_behind_goes_at_the_next_write_and_nothing_else_does(path):
    script = f"""
import os, signal
from minigrad.serialization import write_atomically
os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
write_atomically({str(path)!r}, b"half")
"""
    path.write_bytes(b"old")
    others = {
        f".{path.name}.tmp",
        f".other-{path.name}.12345678.tmp",
        f"{path.name}.12345678.tmp",
        f".{path.name}.my-notes.tmp",
    }
    for name in others:
        (path.parent / name).touch()
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(os.listdir(path.parent)) == len(others) + 2

    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert set(os.listdir(path.parent)) == {path.name} | others


def test_two_writers_of_one_file_do_not_disturb_each_other(path, monkeypatch):
    replace = os.replace

    def overtaken(source, target):
        monkeypatch.setattr(os, "replace", replace)
        write_atomically(path, b"the other's")
        replace(source, target)

    monkeypatch.setattr(os, "replace", overtaken)
    write_atomically(path, b"ours")
    assert path.read_bytes() == b"the other's"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_symbolic_link_is_written_through(path, tmp_path):
    (tmp_path / "folder").mkdir()
    real = tmp_path / "folder" / "real"
    path.symlink_to(real)
    write_atomically(path, b"new")
    assert path.is_symlink() and real.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_a_new_file_has_the_permissions_of_any_new_file(path):
    write_atomically(path, b"new")
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_a_file_that_is_written_anew_keeps_its_permissions(path):
    path.touch()
    path.chmod(0o600)
    write_atomically(path, b"secret")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"secret", 0o600)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match=r"cannot write .*: it is a device or a pipe"):
        write_atomically(path, b"new")
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), OSError(30, "Read-only", "a", None, "b")])
def test_a_failed_write_names_the_file_that_was_asked_for(path, monkeypatch, step, error):
    monkeypatch.setattr(os, step, Mock(side_effect=error))
    with pytest.raises(OSError) as caught:
        write_atomically(path, b"new")
    assert str(caught.value) == f"[Errno {error.errno}] {error.strerror}: {str(path)!r}"


# -- without the package -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [lambda path: save({}, path), load, load_metadata])
def test_without_safetensors_one_sentence_says_how_to_get_it(path, monkeypatch, call):
    path.write_bytes(b"old")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"^saving and loading tensors needs safetensors: pip install safetensors$"):
        call(path)
    assert path.read_bytes() == b"old"
