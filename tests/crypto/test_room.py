"""The room as a whole: light to import, and knows only the floor below."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import usufruct.crypto
from usufruct.crypto import aead, canonical, dsse, ed25519, hpke, keystore, notes
from usufruct.crypto.keystore import PublicIdentity
from usufruct.crypto.keytree import Cover, KeyTree
from usufruct.errors import BadInput, Damaged, VerificationError

PARTY = keystore.new_identity("party")[0]
MODULES = [module.name for module in pkgutil.iter_modules(usufruct.crypto.__path__)]


def test_importing_the_room_loads_none_of_its_modules():
    code = (
        "import sys, usufruct.crypto\n"
        "heavy = ('usufruct.crypto.', 'cryptography', 'blake3', 'Crypto')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_modules_import_only_from_the_floor_below_and_each_other():
    allowed = (
        "usufruct.crypto",
        "usufruct.errors",
        "usufruct.types",
        "usufruct.units",
        "usufruct.ports",
    )
    for name in MODULES:
        source = Path(usufruct.crypto.__path__[0], f"{name}.py").read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("usufruct"):
                assert node.module.startswith(allowed), (name, node.module)


def test_verifying_needs_no_ledger_part():
    code = (
        "import sys\n"
        + "".join(f"import usufruct.crypto.{name}\n" for name in MODULES)
        + "from usufruct.crypto import keystore\n"
        "keystore.verify_binding(keystore.new_identity('x')[0].public)\n"
        "extra = {'eth_account', 'coincurve', 'eth_abi', 'httpx', 'numpy'}\n"
        "print(sorted(extra & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
DOCUMENTS = [
    (PublicIdentity.from_dict, PARTY.public.to_dict()),
    (dsse.Envelope.from_dict, dsse.sign("text/plain", b"x", [PARTY]).to_dict()),
    (Cover.from_list, Cover(KeyTree(bytes(32), "x").cover(1, 4)).to_list()),
]


def places(value, path=()):
    """Yield the path of every value inside a document."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def put(value, path, junk):
    if not path:
        return junk
    changed = value.copy()
    changed[path[0]] = put(value[path[0]], path[1:], junk)
    return changed


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_junk_anywhere_in_a_document_is_bad_input(data):
    read, document = data.draw(st.sampled_from(DOCUMENTS))
    path = data.draw(st.sampled_from(list(places(document))))
    try:
        read(put(document, path, data.draw(JUNK)))
    except (BadInput, VerificationError):
        pass


@given(JUNK)
def test_junk_instead_of_bytes_is_a_known_error(junk):
    for read in (
        canonical.loads,
        canonical.unb64,
        dsse.Envelope.from_bytes,
        notes.parse_note,
        notes.decode_vkey,
        notes.Checkpoint.from_text,
    ):
        try:
            read(junk)
        except BadInput:
            pass
    for check in (
        lambda: ed25519.verify(junk, junk, b""),
        lambda: notes.open_checkpoint(junk, "name", PARTY.public_key),
        lambda: hpke.open_(bytes(32), junk, info=b""),
        lambda: aead.open_small(bytes(32), junk),
    ):
        with pytest.raises(VerificationError):
            check()
    with pytest.raises(Damaged):
        keystore.open_keystore(junk, "x")
