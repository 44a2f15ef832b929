import subprocess
import sys

from hoag import __version__
from hoag.provenance import command, full_stamp, machine, package_version, stamp


def test_a_stamp_holds_version_seed_and_schema():
    made = stamp(seed=3, schema_hash="abc")
    assert made["hoag"] == __version__
    assert (made["seed"], made["schema_hash"]) == (3, "abc")


def test_a_full_stamp_adds_command_machine_and_libraries():
    made = full_stamp()
    assert made["libraries"]["torch"] and made["machine"]["cores"] >= 1 and made["time"]
    assert machine()["python"].startswith("3.")


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/hoag", "train", "a b"])
    assert command() == "hoag train 'a b'"


def test_a_package_that_is_missing_has_no_version():
    assert package_version("no-such-package-anywhere") is None


def test_importing_hoag_imports_nothing_heavy():
    code = "import sys, hoag; print(sorted({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_face_is_all_there():
    import types

    import hoag

    for name in hoag.__all__:
        assert getattr(hoag, name) is not None
    modules = {m for m in dir(hoag) if isinstance(getattr(hoag, m), types.ModuleType)}
    functions = {n for n in hoag.__all__ if isinstance(getattr(hoag, n), types.FunctionType)}
    import pkgutil

    assert not functions & {m.name for m in pkgutil.iter_modules(hoag.__path__)}
    assert "votes" in modules
