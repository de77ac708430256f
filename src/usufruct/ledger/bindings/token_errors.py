"""What tokens and OpenZeppelin's helpers refuse: transfers, permits and signed payments."""

from __future__ import annotations

from typing import Final

from usufruct.ledger.bindings.refusals import refusal

TOKEN_REFUSALS: Final = (
    # ERC-1155 and ERC-20, as OpenZeppelin has them
    refusal(
        "03dee4c5",
        "ERC1155InsufficientBalance",
        "address sender, uint256 balance, uint256 needed, licence licence",
        "{sender} does not hold the licence {licence}",
        "use the account that holds it",
    ),
    refusal("3e31884e", "ERC1155InvalidApprover", "address approver", "{approver} cannot approve"),
    refusal(
        "5b059991",
        "ERC1155InvalidArrayLength",
        "uint256 ids, uint256 values",
        "{ids} ids do not go with {values} values",
    ),
    refusal(
        "ced3e100", "ERC1155InvalidOperator", "address operator", "{operator} cannot be an operator"
    ),
    refusal(
        "57f447ce",
        "ERC1155InvalidReceiver",
        "address receiver",
        "{receiver} cannot hold a licence",
        "a contract must take ERC-1155 tokens; the zero address takes none",
    ),
    refusal("01a83514", "ERC1155InvalidSender", "address sender", "{sender} cannot send a licence"),
    refusal(
        "e237d922",
        "ERC1155MissingApprovalForAll",
        "address operator, address owner",
        "{operator} has no right to move the licences of {owner}",
        "use the account that holds the licence",
    ),
    refusal(
        "fb8f41b2",
        "ERC20InsufficientAllowance",
        "address spender, uint256 allowance, uint256 needed",
        "{spender} may take {allowance} of the payer's tokens, and {needed} are needed",
        "approve the price, or pay by permit",
    ),
    refusal(
        "e450d38c",
        "ERC20InsufficientBalance",
        "address sender, uint256 balance, uint256 needed",
        "{sender} has {balance} of the token, and {needed} are needed",
        "get more of the token",
    ),
    refusal("e602df05", "ERC20InvalidApprover", "address approver", "{approver} cannot approve"),
    refusal(
        "ec442f05", "ERC20InvalidReceiver", "address receiver", "{receiver} cannot receive tokens"
    ),
    refusal("96c6fd1e", "ERC20InvalidSender", "address sender", "{sender} cannot send tokens"),
    refusal(
        "94280d62", "ERC20InvalidSpender", "address spender", "{spender} cannot be allowed to spend"
    ),
    refusal(
        "5274afe7",
        "SafeERC20FailedOperation",
        "address token",
        "the token {token} refused to move, or is no token",
        "check balance and allowance of the payer",
    ),
    # permits and signed payments
    refusal(
        "62791302",
        "ERC2612ExpiredSignature",
        "uint256 time",
        "the permit was good until {time}",
        "sign it anew",
    ),
    refusal(
        "4b800e46",
        "ERC2612InvalidSigner",
        "address signer, address owner",
        "the permit is signed by {signer}, not by {owner}",
        "sign with the token's own domain and the present nonce",
    ),
    refusal(
        "752d88c0",
        "InvalidAccountNonce",
        "address account, uint256 nonce",
        "the next nonce of {account} is {nonce}",
        "sign it anew with this nonce",
    ),
    refusal(
        "7a4df079",
        "AuthorizationNotYetValid",
        "uint256 time",
        "the signed payment is good only after {time}",
        "wait, or sign it anew",
    ),
    refusal(
        "3d91b05f",
        "AuthorizationExpired",
        "uint256 time",
        "the signed payment was good until {time}",
        "sign it anew",
    ),
    refusal(
        "191d19f0",
        "AuthorizationSpent",
        "address payer, bytes32 nonce",
        "the signed payment of {payer} was used or withdrawn before",
        "sign it anew with another salt",
    ),
    refusal(
        "1d44a159",
        "AuthorizationNotSigned",
        "address payer",
        "the payment is not signed by {payer}",
        "sign with the token's own domain",
    ),
    refusal(
        "efaf5c14",
        "CallerNotReceiver",
        "address caller, address receiver",
        "only {receiver} may take this payment, not {caller}",
    ),
    refusal("f645eedf", "ECDSAInvalidSignature", "", "the signature is by no key", "sign it anew"),
    refusal(
        "fce698f7",
        "ECDSAInvalidSignatureLength",
        "uint256 length",
        "the signature has {length} bytes, not 65",
        "sign it anew",
    ),
    refusal(
        "d78bce0c",
        "ECDSAInvalidSignatureS",
        "bytes32 s",
        "the signature has a high s, which contracts refuse",
        "sign it anew",
    ),
    # What OpenZeppelin's helpers throw
    refusal(
        "d6bda275",
        "FailedCall",
        "",
        "the receiver of a payment refused it",
        "it cannot take the chain's coin; ask its owner",
    ),
    refusal(
        "b06ebf3d",
        "FailedDeployment",
        "",
        "a split's wallet could not be made",
        "give the transaction more gas",
    ),
    refusal(
        "cf479181",
        "InsufficientBalance",
        "uint256 balance, uint256 needed",
        "the contract has {balance} wei, and {needed} are needed",
    ),
    refusal(
        "3ee5aeb5",
        "ReentrancyGuardReentrantCall",
        "",
        "a contract called back in the middle of a payment",
        "the token or a receiver is at fault; do not use it",
    ),
)
"""Selector and refusal of each error of ERC-1155, ERC-20, EIP-2612, EIP-3009 and payments."""
