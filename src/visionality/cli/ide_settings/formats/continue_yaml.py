"""Continue's config.yaml: edited in place, so that comments and order stay. Its list of models is read by their names."""

import json
from typing import Any

import yaml

from visionality.cli.ide_settings.formats import Path, Tree, Unreadable, Value

_MODELS = "models"


def read(text: str) -> Tree:
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise Unreadable(f"{line}it is no YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Unreadable("it is no YAML") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unreadable("expected names and values")
    if isinstance(models := found.get(_MODELS), list):
        found[_MODELS] = _by_name(models)
    return found


def put(text: str, path: Path, value: Value) -> str:
    """A model is begun by its `name`, before all others: the first is the one that Continue takes."""
    written = value if isinstance(value, str) and value.startswith("${{") else json.dumps(value)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if len(path) == 1:
        return f"{path[0]}: {written}\n{text}"
    _, model, name = path
    models = None if root is None else _value(root, _MODELS)
    if models is None:
        gap = "" if text.endswith("\n") or not text else "\n"
        return f"{text}{gap}{_MODELS}:\n  - name: {written}\n"
    if not isinstance(models, yaml.SequenceNode) or models.flow_style or not models.value:
        raise Unreadable("`models` is no list with one model a paragraph, so none can be added to it")
    item = next((one for one in models.value if _is_named(one, model)), None)
    if item is None:
        place, margin = models.start_mark.index, " " * models.start_mark.column
        entry = f"- name: {written}\n{margin}"
    elif (old := _value(item, name)) is not None:
        return text[: old.start_mark.index] + written + text[old.end_mark.index :]
    else:
        place, margin = _value(item, "name").end_mark.index, " " * item.start_mark.column
        entry = f"\n{margin}{name}: {written}"
    return text[:place] + entry + text[place:]


def _by_name(models: list[Any]) -> Tree:
    """Models by their names; one without is counted from the end, since what is added comes first."""
    found: Tree = {}
    for at, model in enumerate(models):
        name = str(model["name"]) if isinstance(model, dict) and "name" in model else f"#{len(models) - at}"
        if name in found:
            raise Unreadable(f"two models have the name {name!r}")
        found[name] = model
    return found


def _value(mapping: Any, name: str) -> Any:
    """The node behind a name, or None."""
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


def _is_named(model: Any, name: str) -> bool:
    found = _value(model, "name")
    return found is not None and found.value == name
