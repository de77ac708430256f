"""What goes over the wire, for FastAPI's checks and the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from usufruct.types import AssetKind, AssetState, Use

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="32 bytes in hexadecimal.")]
Hex24 = Annotated[str, Field(pattern=r"^[0-9a-f]{48}$", description="24 bytes in hexadecimal.")]
Hex65 = Annotated[
    str, Field(pattern=r"^[0-9a-f]{130}$", description="A signature (r, s, v) in hexadecimal.")
]
Account = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$", description="An Ethereum account.")]
Amount = Annotated[
    str, Field(pattern=r"^[0-9]{1,78}$", description="A whole number of the smallest unit.")
]


class Model(BaseModel):
    """Strict: nothing is converted, nothing unknown is taken."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Mismatch(Model):
    """One place where evidence and thing differ."""

    model_config = ConfigDict(extra="allow")

    what: str


class Error(BaseModel):
    """Why a request failed, and what to do next."""

    model_config = ConfigDict(extra="allow")

    error: Annotated[str, Field(description="The kind of error.", examples=["NotFound"])]
    message: Annotated[str, Field(description="What happened and why.")]
    hint: Annotated[str | None, Field(description="What to do next.")] = None


class Health(Model):
    """How the node is."""

    status: Literal["ok", "behind"]
    index_lag: Annotated[
        float | None, Field(ge=0, description="Seconds since the ledger was last read.")
    ]


class Party(Model):
    """A party's public keys, bound together by its account's signature."""

    name: str
    address: Account
    account_key: str
    signing_key: str
    encryption_key: str
    binding: str


class Node(Model):
    """What this node is: whose, and of which ledger."""

    format: Literal["usufruct/node/v1"]
    party: Party
    chain_id: int
    network: str
    contracts: dict[str, Account]
    version: str
    url: str


class Offer(Model):
    """Terms under which an asset can be licensed."""

    id: Hex24
    asset: Hex32
    use: Use
    price: Amount
    token: Account
    period: Annotated[int, Field(description="Seconds a licence lasts, 0 for ever.")]
    uses: Annotated[int, Field(description="Uses of a licence, 0 if they are not counted.")]
    cap: Annotated[int, Field(description="Most licences there can be, 0 for no limit.")]
    refund_window: Annotated[int, Field(description="Seconds in which a buyer can challenge.")]
    royalty: Annotated[int, Field(description="Parts per million of derived assets' income.")]
    transferable: bool
    allow_root: Hex32
    terms: Annotated[Hex32, Field(description="SHA-256 of the terms, zeros for none.")]
    salt: Amount
    open: bool
    sold: int


class Card(Model):
    """An asset in the catalogue."""

    id: Hex32
    title: Annotated[str | None, Field(description="As its owner's statement says, if known.")]
    description: str | None
    kind: AssetKind
    state: AssetState
    owner: Account
    owner_name: Annotated[str, Field(description="What the owner calls itself on the ledger.")]
    versions: int
    content_root: Hex32 | None
    parents: list[Hex32]
    offers: list[Offer]
    served: Annotated[bool, Field(description="This node delivers the newest version.")]


class Page(Model):
    """One page of the catalogue."""

    assets: list[Card]
    next: Annotated[str | None, Field(description="Give it as `after` for the next page.")]


class SignedUse(Model):
    """The holder's Use(licence, total) under EIP-712."""

    total: Annotated[int, Field(ge=1, lt=2**32)]
    signature: Hex65


class SignedAcknowledgement(Model):
    """The holder's Acknowledgement(licence, root) under EIP-712."""

    signature: Hex65


class GrantRequest(Model):
    """Asks for the keys of a version."""

    licence: Hex32
    encryption_key: Annotated[Hex32, Field(description="X25519, to seal the keys for.")]
    use: SignedUse | None = None
    acknowledgement: SignedAcknowledgement | None = None


class ProbeRequest(Model):
    """Asks for the key of one chunk."""

    licence: Hex32
    encryption_key: Annotated[Hex32, Field(description="X25519, to seal the key for.")]


class Grant(Model):
    """The keys of a version, sealed for the holder, and the node's word for it."""

    grant: Annotated[str, Field(description="HPKE message, base64.")]
    statement: Annotated[dict[str, object], Field(description="A signed DSSE envelope.")]


class Probe(Model):
    """The key of one chunk, which the digest of the request chose."""

    grant: Annotated[str, Field(description="HPKE message, base64.")]
