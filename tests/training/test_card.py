"""What a training writes beside its weights: JSON that any reader takes, and the versions that it was made with."""

from __future__ import annotations

import json
import math
from importlib import metadata

from ser_core.training import card


def test_tuples_become_lists_and_what_is_no_number_becomes_nothing():
    values = {"a": (1, (2.5, "x")), 3: [math.nan, math.inf, -math.inf, None, True]}
    assert json.loads(card.to_json(values)) == {"a": [1, [2.5, "x"]], "3": [None, None, None, None, True]}


def test_letters_are_written_as_they_are():
    assert "größe 二" in card.to_json({"title": "größe 二"})


def test_versions_are_those_that_are_installed_and_networks_name_more():
    plain, networks = card.versions(networks=False), card.versions(networks=True)
    assert plain["numpy"] == metadata.version("numpy")
    assert plain.items() < networks.items()
