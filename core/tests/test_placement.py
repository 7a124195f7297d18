"""Opening a model: what is composed, and what each kind of failure says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import (
    ConfigError,
    EngineClosed,
    GenerationRequest,
    ModelError,
    PluginNotFound,
    Progress,
    RequestError,
    SamplingParams,
)
from enginebay_core.config import Defaults, ModelConfig
from enginebay_core.placement import RunningModel, open_model, placement_of
from enginebay_core.placement.identity import Identity, identify
from enginebay_core.placement.loading import load_engine
from enginebay_core.plugins import BACKENDS, resolve_model
from enginebay_core.toy import ToyBackend, ToyEngine, ToyOptions

InstallPlugin = Callable[..., Path]


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    """No one is watching."""


@contextmanager
def opened(**config: Any) -> Iterator[RunningModel]:
    given = {"backend": "toy", "model": "toy", "placement": "inline", **config}
    model = open_model("mine", ModelConfig(**given), quiet)
    try:
        yield model
    finally:
        model.close()


def write(directory: Path, **files: Any) -> str:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / f"{name}.json").write_text(text)
    return str(directory)


async def test_the_toy_opens_and_answers() -> None:
    with opened() as model:
        assert (model.name, model.backend, model.model) == ("mine", "toy", "toy")
        prompt = tuple(model.tokenizer.encode("hello"))
        request = GenerationRequest(prompt, 4, SamplingParams(temperature=0))
        steps = [step async for step in model.generator.generate(request)]
        assert sum(len(step.ids) for step in steps) == 4
        assert model.capabilities.of("seed").support == "native"
    with pytest.raises(EngineClosed):
        await anext(model.generator.generate(request))


def test_a_process_is_the_default_but_for_the_toy(install_plugin: InstallPlugin) -> None:
    install_plugin("eb_any", "Backend = None", BACKENDS, any="eb_any:Backend")
    assert placement_of(ModelConfig(backend="any", model="toy")) == "process"
    assert placement_of(ModelConfig(backend="any", model="toy", placement="inline")) == "inline"
    assert placement_of(ModelConfig(backend="toy", model="toy")) == "inline"
    assert placement_of(ModelConfig(backend="toy", model="toy", python="python3")) == "process"
    assert placement_of(ModelConfig(backend="toy", model="toy", placement="process")) == "process"
    with pytest.raises(PluginNotFound, match="did you mean 'toy'"):
        placement_of(ModelConfig(backend="toyy", model="toy"))


def test_what_only_a_process_has_is_not_for_inline() -> None:
    for setting in ({"python": "python3"}, {"pass_env": ["X"]}, {"restarts": 1}):
        with pytest.raises(ValueError, match="is for placement 'process'"):
            ModelConfig(model="toy", placement="inline", **setting)


def test_a_process_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    config = ModelConfig(backend="toy", model="toy", placement="process")
    with pytest.raises(ConfigError, match=r"enginebay-core\[process\]"):
        open_model("mine", config, quiet)


def test_closing_twice_is_closing_once() -> None:
    with opened() as model:
        model.close()


def test_options_reach_the_backend() -> None:
    with opened(options={"max_length": 64}) as model:
        assert model.generator.limits.context_length == 64


def test_defaults_are_the_configs_over_the_checkpoints(tmp_path: Path) -> None:
    generation = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "eos_token_id": [7, 9]}
    where = write(tmp_path, generation_config=generation)
    with opened(model=where, defaults={"temperature": 0.1}) as model:
        assert model.defaults == Defaults(temperature=0.1, top_p=0.95, top_k=20)
        assert model.stop_ids == {7, 9}


@pytest.mark.parametrize("placement", ["inline", "process"])
def test_ids_that_the_engine_cannot_make_are_no_stops(tmp_path: Path, placement: str) -> None:
    """Banning one before ``min_tokens`` would fail the whole step."""
    where = write(tmp_path, generation_config={"eos_token_id": [7, 259, -1]})
    with opened(model=where, placement=placement) as model:
        assert model.stop_ids == {7}


def test_stop_ids_come_from_the_next_best_place(tmp_path: Path) -> None:
    with opened(model=write(tmp_path, config={"eos_token_id": 5})) as model:
        assert model.stop_ids == {5}
    with opened() as model:  # no file at all: the tokenizer's own ends
        control = model.tokenizer.control
        assert model.stop_ids == {control["<|im_end|>"], control["<|endoftext|>"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "generation_config.json of the model is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"temperature": "hot"}', "'temperature' is 'hot'"),
    ],
)
def test_a_damaged_generation_config_is_named(tmp_path: Path, content: str, said: str) -> None:
    where = write(tmp_path, generation_config=content)
    with pytest.raises(ModelError, match=said), opened(model=where):
        pass


def test_wrong_options_load_nothing() -> None:
    with pytest.raises(ConfigError, match=r"models\.mine\.options\.max_len.*'max_length'"):
        open_model("mine", ModelConfig(backend="toy", model="x", options={"max_len": 1}), quiet)


def test_unknown_names_are_explained(tmp_path: Path) -> None:
    with pytest.raises(PluginNotFound, match="did you mean 'toy'"), opened(backend="toyy"):
        pass
    with (
        pytest.raises(PluginNotFound, match="no tokenizer named 'bites'"),
        opened(tokenizer="bites"),
    ):
        pass
    with pytest.raises(ModelError, match=r"'no-such' is no directory.*installed: .*toy"):
        resolve_model("no-such", quiet)
    assert resolve_model(str(tmp_path), quiet) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('bad weights')", "failed to load the model: ValueError: bad weights"),
        ("raise SystemExit(1)", "failed to load the model: SystemExit"),
        ("return 'an engine'", "loaded a str, which is neither a StepEngine"),
    ],
)
def test_a_backend_that_cannot_load_says_so(
    install_plugin: InstallPlugin, body: str, said: str
) -> None:
    code = f"""
        from enginebay_core.api import EngineOptions
        class Backend:
            options, tokenizer = EngineOptions, "bytes"
            def load(self, model, options, progress):
                {body}
    """
    install_plugin("eb_unloadable", code, BACKENDS, unloadable="eb_unloadable:Backend")
    with pytest.raises(ModelError, match=said), opened(backend="unloadable"):
        pass


def test_progress_is_reported_while_loading() -> None:
    seen: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        seen.append((stage, done, total))

    config = ModelConfig(backend="toy", model="toy", options={"load_seconds": 0.2})
    open_model("mine", config, progress).close()
    assert ("pretending to load", 0, 100) in seen
    assert len(seen) >= 3


async def test_an_engine_with_its_own_scheduler_is_kept_from_bad_requests(
    install_plugin: InstallPlugin,
) -> None:
    code = """
        from enginebay_core.api import (
            EngineOptions, FinishReason, GenerationStep, Limits, step_capabilities
        )
        class Engine:
            limits = Limits(vocab_size=300, context_length=8)
            async def generate(self, request):
                yield GenerationStep(request.prompt, FinishReason.LENGTH)
            def close(self):
                pass
        class Backend:
            options, tokenizer = EngineOptions, "bytes"
            def load(self, model, options, progress):
                return Engine()
            def capabilities(self, engine):
                return step_capabilities()
    """
    install_plugin("eb_own", code, BACKENDS, own="eb_own:Backend")
    with pytest.raises(ConfigError, match="queues by itself"), opened(backend="own", queue={}):
        pass
    with opened(backend="own") as model:
        steps = [step async for step in model.generator.generate(GenerationRequest((1, 2), 3))]
        assert [step.ids for step in steps] == [(1, 2)]
        for prompt in ((), (300,), (1,) * 9):
            with pytest.raises(RequestError):
                await anext(model.generator.generate(GenerationRequest(prompt, 1)))


def test_the_thread_that_loads_ends_so_that_its_openmp_workers_do(tmp_path: Path) -> None:
    class Remembering(ToyBackend):
        def load(self, model: Path, options: ToyOptions, progress: Progress) -> Any:
            threads.append(threading.current_thread())
            return super().load(model, options, progress)

    threads: list[threading.Thread] = []
    engine = load_engine("toy", Remembering(), tmp_path, ToyOptions(), quiet)
    assert isinstance(engine, ToyEngine)
    [loader] = threads
    assert loader is not threading.current_thread()
    assert not loader.is_alive()


def test_the_identity_changes_with_whatever_decides_an_answer(tmp_path: Path) -> None:
    texts = {
        "config.json": "{}",
        "model.safetensors": "weights" * 10_000_000,
        "tokenizer.json": "{}",
        "tokenizer_config.json": '{"chat_template": "a"}',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    def now(**versions: str) -> Identity:
        return identify("b", "t", tmp_path, versions=versions, facts={"dtype": "int8"})

    first = now()
    assert (now(), first.dtype) == (first, "int8")
    assert now(b="2").versions["b"] == "2"
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(40_000_000)
        file.write(b"x" * 1_000_000)
    second = now()
    assert (second.revision != first.revision, second.tokenizer) == (True, first.tokenizer)
    (tmp_path / "tokenizer.json").write_text('{"a": 1}')
    third = now()
    assert (third.tokenizer != second.tokenizer, third.template) == (True, second.template)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "b"}')
    assert now().template != third.template


def test_a_snapshot_of_the_hub_is_its_commit(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    directory = tmp_path / "snapshots" / commit
    directory.mkdir(parents=True)
    (directory / "tokenizer_config.json").write_text("no json")
    told = identify("b", "t", directory, versions={}, facts={})
    assert (told.revision, told.template, told.dtype) == (commit, None, None)
