// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {TypedData} from "./TypedData.sol";

/// @title TestDollar: play money for embedded ledgers
/// @notice A dollar like the real ones: six decimals, EIP-2612 permits, EIP-3009 authorizations in
///         both overloads. Anyone mints a thousand at a time, so it is worth nothing.
/// @dev EIP-2612 as OpenZeppelin's ERC20Permit has it, errors included; written out because that
///      one keeps its domain in immutables, and the code of our contracts is compared with the
///      package's wherever they stand (see TypedData).
contract TestDollar is ERC20, IERC20Permit, Nonces, TypedData {
    bytes32 private constant NAME = keccak256("Test Dollar");
    bytes32 private constant PERMIT = keccak256(
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    );

    /// @notice The EIP-3009 type hash.
    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @notice The EIP-3009 type hash.
    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @notice The EIP-3009 type hash.
    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH =
        keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    /// @notice What one call of the faucet mints: 1,000 dollars.
    uint256 public constant FAUCET = 1_000e6;

    /// @notice Whether an account has used or cancelled the authorization with this nonce.
    mapping(address authorizer => mapping(bytes32 nonce => bool)) public authorizationState;

    /// @notice An authorization was used.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    /// @notice An authorization was cancelled before use.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    /// @notice The permit's deadline has passed.
    error ERC2612ExpiredSignature(uint256 deadline);

    /// @notice The permit was signed by another than its owner.
    error ERC2612InvalidSigner(address signer, address owner);

    /// @notice The authorization is not good yet.
    error AuthorizationNotYetValid(uint256 validAfter);

    /// @notice The authorization is not good any more.
    error AuthorizationExpired(uint256 validBefore);

    /// @notice The authorization was used or cancelled before.
    error AuthorizationSpent(address authorizer, bytes32 nonce);

    /// @notice The authorization is not signed by whom it names.
    error AuthorizationNotSigned(address authorizer);

    /// @notice Only the receiver may use this authorization.
    error CallerNotReceiver(address caller, address receiver);

    constructor() ERC20("Test Dollar", "TUSD") {}

    /// @notice Mint a thousand dollars to anyone.
    function faucet(address to) external {
        _mint(to, FAUCET);
    }

    /// @notice Allow `spender` by the owner's signature (EIP-2612).
    function permit(
        address owner,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        require(block.timestamp <= deadline, ERC2612ExpiredSignature(deadline));
        bytes32 structHash =
            keccak256(abi.encode(PERMIT, owner, spender, value, _useNonce(owner), deadline));
        address signer = ECDSA.recover(_digest(structHash), v, r, s);
        require(signer == owner, ERC2612InvalidSigner(signer, owner));
        _approve(owner, spender, value);
    }

    /// @notice Move money by the payer's signature; anyone may submit it (EIP-3009).
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        transferWithAuthorization(
            from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v)
        );
    }

    /// @notice The same with the signature in one piece, of an account or an EIP-1271 contract.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        bytes32 kind = TRANSFER_WITH_AUTHORIZATION_TYPEHASH;
        _checkTime(validAfter, validBefore);
        _useAuthorization(
            from,
            nonce,
            keccak256(abi.encode(kind, from, to, value, validAfter, validBefore, nonce)),
            signature
        );
        _transfer(from, to, value);
    }

    /// @notice Take money by the payer's signature; only the receiver may submit it (EIP-3009).
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        receiveWithAuthorization(
            from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v)
        );
    }

    /// @notice The same with the signature in one piece, of an account or an EIP-1271 contract.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        require(to == msg.sender, CallerNotReceiver(msg.sender, to));
        bytes32 kind = RECEIVE_WITH_AUTHORIZATION_TYPEHASH;
        _checkTime(validAfter, validBefore);
        _useAuthorization(
            from,
            nonce,
            keccak256(abi.encode(kind, from, to, value, validAfter, validBefore, nonce)),
            signature
        );
        _transfer(from, to, value);
    }

    /// @notice Make an authorization void before it is used (EIP-3009).
    function cancelAuthorization(
        address authorizer,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        cancelAuthorization(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    /// @notice The same with the signature in one piece, of an account or an EIP-1271 contract.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature)
        public
    {
        bytes32 structHash = keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce));
        _spend(authorizer, nonce, structHash, signature);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    /// @notice Six, as real dollars have on ledgers.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice The EIP-712 version of the domain.
    function version() external pure returns (string memory) {
        return "1";
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner)
        public
        view
        override(IERC20Permit, Nonces)
        returns (uint256)
    {
        return Nonces.nonces(owner);
    }

    /// @inheritdoc TypedData
    function DOMAIN_SEPARATOR()
        public
        view
        override(IERC20Permit, TypedData)
        returns (bytes32)
    {
        return TypedData.DOMAIN_SEPARATOR();
    }

    function _useAuthorization(
        address authorizer,
        bytes32 nonce,
        bytes32 structHash,
        bytes memory signature
    ) private {
        _spend(authorizer, nonce, structHash, signature);
        emit AuthorizationUsed(authorizer, nonce);
    }

    /// @dev Both ends are outside, as EIP-3009 has it.
    function _checkTime(uint256 validAfter, uint256 validBefore) private view {
        require(block.timestamp > validAfter, AuthorizationNotYetValid(validAfter));
        require(block.timestamp < validBefore, AuthorizationExpired(validBefore));
    }

    function _spend(address authorizer, bytes32 nonce, bytes32 structHash, bytes memory signature)
        private
    {
        require(!authorizationState[authorizer][nonce], AuthorizationSpent(authorizer, nonce));
        authorizationState[authorizer][nonce] = true;
        bytes32 digest = _digest(structHash);
        (address signer,,) = ECDSA.tryRecover(digest, signature);
        // An account's signature first: it saves looking whether the account is a contract.
        bool good = authorizer != address(0)
            && (signer == authorizer
                || SignatureChecker.isValidERC1271SignatureNow(authorizer, digest, signature));
        require(good, AuthorizationNotSigned(authorizer));
    }

    function _domainName() internal pure override returns (bytes32) {
        return NAME;
    }
}
