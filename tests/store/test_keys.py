"""The signing key is made once, is nobody else's to read, and its public half is never forgotten."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from counterflow.store.keys import KeyFileError, load_or_create, read_public, rotate


def test_it_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    umask = os.umask(0)
    try:
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(lambda _: load_or_create(tmp_path), range(8)))
    finally:
        os.umask(umask)
    assert len({keys.public for keys in made}) == 1
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / "audit.pem").stat().st_mode) == 0o600
    assert read_public(tmp_path / "keys" / "audit.pub") == made[0].public
    assert made[0].signing.public_key().public_bytes_raw() == made[0].in_use


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path, mode):
    load_or_create(tmp_path)
    (tmp_path / "keys" / "audit.pem").chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create(tmp_path)


def test_a_lost_key_is_not_silently_replaced(tmp_path):
    first = load_or_create(tmp_path)
    (tmp_path / "keys" / "audit.pem").unlink()
    with pytest.raises(KeyFileError, match="backup of secrets"):
        load_or_create(tmp_path)
    assert rotate(tmp_path).public[0] == first.in_use


def test_rotation_keeps_the_public_halves_in_order(tmp_path):
    first = load_or_create(tmp_path)
    pem = (tmp_path / "keys" / "audit.pem").read_bytes()
    second = rotate(tmp_path)
    assert second.public == (*first.public, second.in_use) == load_or_create(tmp_path).public
    (tmp_path / "keys" / "audit.pem").write_bytes(pem)
    with pytest.raises(KeyFileError, match="was replaced"):
        load_or_create(tmp_path)


def test_the_public_half_that_was_not_written_any_more_is_written(tmp_path):
    keys = load_or_create(tmp_path)
    (tmp_path / "keys" / "audit.pub").unlink()
    assert load_or_create(tmp_path).public == keys.public == read_public(tmp_path / "keys" / "audit.pub")


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "zz" * 32])
def test_what_is_no_list_of_keys_says_so(tmp_path, text):
    path = tmp_path / "audit.pub"
    path.write_text(text)
    with pytest.raises(KeyFileError, match="64 hexadecimal digits"):
        read_public(path)
    with pytest.raises(KeyFileError, match="There is no"):
        read_public(tmp_path / "other.pub")


@pytest.mark.parametrize("text", [b"", b"x", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_says_so(tmp_path, text):
    load_or_create(tmp_path)
    (tmp_path / "keys" / "audit.pem").write_bytes(text)
    with pytest.raises(KeyFileError, match="backup of secrets"):
        load_or_create(tmp_path)
