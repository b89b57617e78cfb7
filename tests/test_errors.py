"""The errors that a user can mend: all of one kind, and told by their text alone."""

from __future__ import annotations

import pytest

from ser_core import errors
from ser_core.errors import SerError

KINDS = [errors.AudioError, errors.CorpusError, errors.ModelError, errors.ConfigError]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_caught_as_one_and_shows_its_sentence(kind):
    with pytest.raises(SerError) as caught:
        raise kind("TESS has 2 speakers.")
    assert str(caught.value) == "TESS has 2 speakers."


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_no_other_kind_and_no_bug(kind):
    assert [each for each in KINDS if issubclass(kind, each)] == [kind]
    assert not issubclass(kind, ValueError | OSError)
