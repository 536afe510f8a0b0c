"""Print the JSON Schema of scenarios, for editors; configs/schema.json is this output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from common.scenario.document import json_schema
from common.system import System


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``schema`` takes: nothing."""


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Print the schema."""
    print(json.dumps(json_schema(systems), indent=2))
    return 0
