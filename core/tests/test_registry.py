"""Finding and loading plugins: a broken one harms nobody, a doubtful one is never guessed."""

import importlib.metadata
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enginebay_core.api import PluginBroken, PluginConflict, PluginNotFound
from enginebay_core.plugins import (
    BACKENDS,
    find_plugin,
    list_plugins,
    load_backend,
    load_plugin,
    probe_plugin,
)
from enginebay_core.plugins.manager import PluginManager
from enginebay_core.toy import ToyBackend

InstallPlugin = Callable[..., Path]


def names() -> list[str]:
    return [plugin.name for plugin in list_plugins(BACKENDS)]


def test_the_toy_is_found_and_made() -> None:
    info = find_plugin(BACKENDS, "toy")
    assert (info.distribution, info.version) == ("enginebay-core", "0.1.0")
    assert isinstance(load_backend("toy"), ToyBackend)


def test_listing_imports_nothing(install_plugin: InstallPlugin) -> None:
    install_plugin("eb_loud", "raise SystemExit('imported')", BACKENDS, loud="eb_loud:Backend")
    assert "loud" in names()
    assert "eb_loud" not in sys.modules


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module_of_anyone", "ModuleNotFoundError"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("assert False, 'asserted'", "AssertionError: asserted"),
        ("def Backend(): raise SystemExit('factory')", "failed to make: SystemExit: factory"),
        ("x = 1", "AttributeError"),
    ],
)
def test_a_broken_plugin_says_why_and_harms_nobody(
    install_plugin: InstallPlugin, code: str, reason: str
) -> None:
    install_plugin("eb_broken", code, BACKENDS, broken="eb_broken:Backend")
    with pytest.raises(PluginBroken, match=reason) as raised:
        load_backend("broken")
    assert "'broken' of 'eb_broken' 1.0" in str(raised.value)
    assert probe_plugin(find_plugin(BACKENDS, "broken")) is not None
    assert load_backend("toy") is not None
    assert {"broken", "toy"} <= set(names())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('no licence')", "no licence"),
        ("import os; os._exit(3)", "ended the process \\(3\\)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed the process"),
    ],
)
def test_probing_survives_what_an_import_can_do(
    install_plugin: InstallPlugin, code: str, reason: str
) -> None:
    install_plugin("eb_wild", code, BACKENDS, wild="eb_wild:Backend")
    found = probe_plugin(find_plugin(BACKENDS, "wild"))
    assert found is not None
    assert re.search(reason, found)


def test_probing_does_not_wait_for_an_import_that_hangs(install_plugin: InstallPlugin) -> None:
    install_plugin("eb_wild", "import time; time.sleep(60)", BACKENDS, wild="eb_wild:Backend")
    found = probe_plugin(find_plugin(BACKENDS, "wild"), seconds=2)
    assert found == "importing it took more than 2 seconds"


def test_a_whole_plugin_passes_its_probe() -> None:
    assert probe_plugin(find_plugin(BACKENDS, "toy")) is None


def test_two_claims_on_one_name_are_refused_naming_both(install_plugin: InstallPlugin) -> None:
    install_plugin("eb_one", "Backend = dict", BACKENDS, twice="eb_one:Backend")
    install_plugin("eb_two", "Backend = dict", BACKENDS, twice="eb_two:Backend")
    with pytest.raises(PluginConflict, match=r"'eb_one'.*'eb_two'.*uninstall one"):
        load_plugin(BACKENDS, "twice")


def test_a_missing_name_lists_what_there_is_and_what_was_meant() -> None:
    with pytest.raises(PluginNotFound, match=r"'tyo'.*did you mean 'toy'\?.*installed: .*toy"):
        load_backend("tyo")


def test_a_plugin_added_after_the_first_look_is_seen(install_plugin: InstallPlugin) -> None:
    """stevedore's disk cache would miss it: modification times are rounded to 128 seconds."""
    before = PluginManager(BACKENDS, "toy", invoke_on_load=False)
    site = install_plugin("eb_late", "Backend = dict", BACKENDS, first="eb_late:Backend")
    assert "first" in names()
    stamp = site.stat().st_mtime
    install_plugin("eb_late", "Backend = dict", BACKENDS, second="eb_late:Backend")
    os.utime(site, (stamp, stamp))
    assert PluginManager(BACKENDS, "second", invoke_on_load=False).plugin is dict
    assert before.plugin is ToyBackend


def test_the_manager_asks_the_metadata_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = importlib.metadata.entry_points

    def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
        asked.append(group)
        return real(group=group)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    PluginManager(BACKENDS, "toy", invoke_on_load=False)
    PluginManager(BACKENDS, "toy", invoke_on_load=False)
    assert asked.count(BACKENDS) >= 2


def test_a_falsy_plugin_is_itself(install_plugin: InstallPlugin) -> None:
    """DriverManager.driver gives the class where the made object is falsy."""
    code = """
        class Empty:
            options = None
            def __len__(self):
                return 0
    """
    install_plugin("eb_falsy", code, BACKENDS, falsy="eb_falsy:Empty")
    made = load_backend("falsy")
    assert not made
    assert not isinstance(made, type)
