"""A verifier written from docs/reference/formats.md alone; imports nothing of the package."""

import base64
import csv
import hmac
import io
import json
from hashlib import sha256, sha512

from blake3 import blake3
from Crypto.Hash import keccak
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature


def canonical(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def b64(text):
    return base64.b64decode(text, validate=True)


def hashed(data):
    return sha256(data).digest()


def keccak256(data):
    return keccak.new(digest_bits=256, data=data).digest()


def leaf_hash(data):
    return hashed(b"\0" + data)


def root_of(level):
    if not level:
        return hashed(b"")
    if len(level) == 1:
        return level[0]
    cut = 1 << ((len(level) - 1).bit_length() - 1)
    return hashed(b"\1" + root_of(level[:cut]) + root_of(level[cut:]))


def included(leaf, index, size, nodes, root):
    """RFC 9162 section 2.1.3.2."""
    assert 0 <= index < size
    fn, sn, value = index, size - 1, leaf
    path = b64(nodes)
    for at in range(0, len(path), 32):
        assert sn
        node = path[at : at + 32]
        if fn & 1 or fn == sn:
            value = hashed(b"\1" + node + value)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            value = hashed(b"\1" + value + node)
        fn, sn = fn >> 1, sn >> 1
    assert not sn and value == root


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def lp(text):
    return u32(len(text.encode())) + text.encode()


def key_tree(root, domain, number):
    node = hmac.digest(root, b"usufruct/keytree/v1\0\x20" + domain.encode(), "sha256")
    for bit in range(31, -1, -1):
        both = sha512(b"usufruct/keytree/step/v1\0" + node).digest()
        node = both[32:] if number >> bit & 1 else both[:32]
    return node


def row_leaf(values, salt):
    text = b"".join(map(lp, values))
    return leaf_hash(b"usufruct/row/v1\0" + salt + u32(len(values)) + text)


def file_leaf(path, kind, size, algorithm, commitment, rows, row_root, salt):
    head = b"usufruct/file/v1\0" + lp(path) + lp(kind) + u64(size) + lp(algorithm)
    return leaf_hash(head + commitment + u64(rows) + row_root + salt)


def commit(chunk_root, salt):
    return hashed(b"usufruct/chunks/v1\0" + salt + chunk_root)


def signed(key, signature, message):
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def check_identity(one):
    key = bytes.fromhex(one["account_key"])
    assert one["address"] == "0x" + keccak256(key)[12:].hex()
    text = (
        f"usufruct party v1\naddress: {one['address']}\nsigning key: {one['signing_key']}\n"
        f"encryption key: {one['encryption_key']}\n"
    ).encode()
    digest = keccak256(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)
    r, s = one["binding"][:64], one["binding"][64:]
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\4" + key)
    public.verify(
        encode_dss_signature(int(r, 16), int(s, 16)), digest, ec.ECDSA(Prehashed(hashes.SHA256()))
    )
    return bytes.fromhex(one["signing_key"])


def verify(bundle, data=None):
    """Check a bundle of one party with one key; `data` is the published table, if at hand."""
    document = json.loads(bundle)
    assert canonical(document) == bundle
    check = document.pop("checksum")
    assert check == sha256(canonical(document)).hexdigest()
    assert document["format"] == "usufruct/bundle/v1"
    (log,) = document["logs"]
    statements = {}
    for item in document["statements"]:
        payload = b64(item["envelope"]["payload"])
        statements[sha256(payload).hexdigest()] = item, json.loads(payload)
    (key,) = (
        check_identity(value["predicate"]["identity"])
        for item, value in statements.values()
        if value["predicateType"] == "https://usufruct.dev/party/v1" and item["index"] == 0
    )
    text, _, line = log["checkpoint"].rpartition("\n\n")
    origin, size, root = text.split("\n")
    name, signature = line.removeprefix("— ").split()
    assert origin == name == log["origin"]
    assert b64(signature)[:4] == hashed(origin.encode() + b"\n\1" + key)[:4]
    signed(key, b64(signature)[4:], f"{text}\n".encode())
    for item, _ in statements.values():
        envelope, payload = item["envelope"], b64(item["envelope"]["payload"])
        kind = envelope["payloadType"].encode()
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        (one,) = envelope["signatures"]
        assert one["keyid"] == "ed25519:" + sha256(key).hexdigest()
        signed(key, b64(one["sig"]), message)
        entry = hashed(bytes.fromhex(item["salt"]) + canonical(envelope))
        included(leaf_hash(entry), item["index"], int(size), item["nodes"], b64(root))
    version = statements[document["claim"]["statement"]][1]["predicate"]
    owner = bytes.fromhex(version["owner"][2:])
    assert origin == "usufruct/" + owner.hex()
    assert version["asset"] == keccak256(owner + bytes.fromhex(version["salt"])).hex()
    content_root = bytes.fromhex(version["content_root"])
    if document["claim"]["type"] == "row":
        return check_row(document["claim"]["proof"], content_root)
    assert root_of(list(file_leaves(document["manifest"], data))) == content_root
    return None


def check_row(proof, content_root):
    leaf = proof["leaf"]
    row_root = bytes.fromhex(leaf["row_root"])
    hash_ = row_leaf(proof["values"], bytes.fromhex(proof["salt"]))
    included(hash_, proof["row"] - 1, leaf["row_count"], proof["nodes"], row_root)
    whole = file_leaf(
        *(leaf[name] for name in ("path", "kind", "size", "algorithm")),
        bytes.fromhex(proof["commitment"]),
        leaf["row_count"],
        row_root,
        bytes.fromhex(leaf["salt"]),
    )
    included(whole, leaf["index"], leaf["count"], leaf["nodes"], content_root)
    return proof["row"], proof["values"]


def file_leaves(manifest, data):
    """The leaves of small tables, made again from their bytes alone."""
    root = bytes.fromhex(manifest["salt_root"])
    for number, path in enumerate(manifest["paths"]):
        content = data[path]
        seed = key_tree(root, "usufruct/salt/file/v1", number)
        both = sha512(b"usufruct/salts/v1\0" + seed).digest()
        size = manifest["chunk_size"]
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        digest = blake3 if manifest["algorithm"] == "blake3" else sha256
        chunk_root = root_of([leaf_hash(digest(chunk).digest()) for chunk in chunks])
        kind, rows, row_root = "file", [], bytes(32)
        if any(table["file"] == number for table in manifest["tables"]):
            kind = "table"
            rows = [row for row in csv.reader(io.StringIO(content.decode(), newline="")) if row]
            row_root = root_of(
                [
                    row_leaf(row, key_tree(seed, "usufruct/salt/row/v1", place)[:16])
                    for place, row in enumerate(rows)
                ]
            )
        commitment = commit(chunk_root, both[16:32])
        yield file_leaf(
            path,
            kind,
            len(content),
            manifest["algorithm"],
            commitment,
            len(rows),
            row_root,
            both[:16],
        )
