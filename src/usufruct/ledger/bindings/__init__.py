"""What the contracts take and give, as bytes: calls, answers, events and errors.

``layout``     the part of the Solidity ABI our contracts use, both ways, strict
``calls``      a call, a question, and how logs are told apart
``artefact``   compiled contracts as they ship in the package
``parties``, ``assets``, ``anchors``, ``splits``, ``licences``   one module a contract
``channels``, ``channel_events``   payment channels, as x402 has them
``offers``     the terms licences are sold under, and the ids made of them
``tokens``     strangers' tokens to pay with, and the Test Dollar
``errors``     a contract's refusal as a typed error

Nothing here talks to a ledger and nothing is imported from outside the package, so logs and
receipts can be read with the base install.
"""
