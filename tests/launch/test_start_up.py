"""Garbage collection waits, and only as long as it should."""

import gc

import pytest

from launch.start_up import without_collection


@pytest.fixture(autouse=True)
def as_before():
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_within_and_what_is_there_is_never_searched():
    with without_collection():
        assert not gc.isenabled()
        kept = [[]]
    assert gc.isenabled() and gc.get_freeze_count() > 0
    assert not any(one is kept for one in gc.get_objects())


def test_an_import_that_fails_leaves_collection_on():
    with pytest.raises(ModuleNotFoundError), without_collection():
        raise ModuleNotFoundError
    assert gc.isenabled()


def test_who_had_switched_it_off_finds_it_off():
    gc.disable()
    with without_collection():
        pass
    assert not gc.isenabled()
