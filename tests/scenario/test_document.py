"""The JSON Schema: what an editor accepts is what the loader accepts of each value alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from common.scenario.document import json_schema
from tests.scenario import test_bad_scenarios, test_plan, test_settings
from tests.scenario.conftest import Systems


@pytest.fixture(scope="module")
def validator(systems: Systems) -> Draft202012Validator:
    return Draft202012Validator(json_schema(systems))


def test_the_document_is_a_schema_and_plain_json(systems: Systems) -> None:
    """Of draft 2020-12."""
    document = json_schema(systems)

    Draft202012Validator.check_schema(document)
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize(
    "text",
    [
        test_bad_scenarios.HEAD,
        test_plan.TEXT,
        test_settings.TEXT,
        test_bad_scenarios.HEAD + "expect: anomaly\n",
        test_bad_scenarios.keeper("limit: null, loud: true, rows: [A], mood: angry"),
    ],
)
def test_a_good_scenario_is_valid(text: str, validator: Draft202012Validator) -> None:
    """Shorthands included."""
    validator.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "bad",
    [
        bad
        for bad in [
            *test_bad_scenarios.NOT_A_SCENARIO,
            *test_bad_scenarios.WRONG_VALUES,
            *test_bad_scenarios.WRONG_WORDS,
        ]
        if bad.id
        not in {
            # Judged by meaning, or read as another value by safe_load without a trace.
            "base 60", "octal", "underscore", "5000 digits", "nan", "role's own check",
            "valid with findings", "file elsewhere", "absolute file", "yes for true",
            "off for false",
        }
    ],
    ids=lambda bad: bad.id.replace(" ", "_"),
)  # fmt: skip
def test_a_bad_scenario_is_not_valid(
    bad: test_bad_scenarios.Bad, validator: Draft202012Validator
) -> None:
    """What is wrong with one value is wrong in an editor, too."""
    assert isinstance(bad.content, str)

    assert not validator.is_valid(yaml.safe_load(bad.content))


def test_every_description_reaches_the_editor(systems: Systems) -> None:
    """Kinds, options and roles are completed with their meaning."""
    document = json_schema(systems)

    store = document["properties"]["table"]["properties"]["store"]["oneOf"]
    assert all(branch.get("description") for branch in store)
    roles = document["properties"]["processes"]["items"]["oneOf"]
    [keeper] = [role for role in roles if role["title"] == "keeper"]
    assert keeper["description"] == "A role that needs the table, with an option of every type."
    assert keeper["properties"]["turns"]["description"] == "How often."
    assert keeper["properties"]["turns"]["default"] == 5


def test_the_steps_that_may_be_delayed_are_named(systems: Systems) -> None:
    """Those of the roles and of the channels."""
    steps: dict[str, Any] = json_schema(systems)["properties"]["delays"]["properties"]

    assert {"acquire", "write", "release", "send", "receive"} <= set(steps)
