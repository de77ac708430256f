// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IAssets} from "./IAssets.sol";
import {Claim, ILicences} from "./ILicences.sol";
import {ISplits, Split} from "./ISplits.sol";
import {TypedData} from "./TypedData.sol";

/// @title SplitWallet: holds what one split has to divide
/// @notice Each split's wallet is an EIP-1167 clone of this. Only Splits moves what it holds.
/// @dev Has no storage, so nothing in a clone can be initialised, and none can be taken over.
contract SplitWallet {
    /// @dev The gas a payee may burn when it is pushed the chain's coin: this and the 2,300 that the
    ///      EVM adds make 50,000.
    uint256 private constant COIN_GAS = 47_700;

    /// @dev The gas a token may burn when it is pushed: usual tokens need 30,000 to 70,000.
    uint256 private constant TOKEN_GAS = 200_000;

    address private immutable _splits;

    constructor() {
        _splits = msg.sender;
    }

    /// @notice Anyone may pay in.
    receive() external payable {}

    /// @notice Try to pay each payee its amount.
    /// @dev No payment can stop the others: each has a bound on gas, and no more than a word of what
    ///      it returns is copied. Reverts without data if there is too little gas to give each its
    ///      bound: else whoever calls could starve a payment so that it fails.
    /// @return failed Bit i is set if payment i was not made.
    function push(address token, address[] calldata payees, uint256[] calldata amounts)
        external
        returns (uint256 failed)
    {
        require(msg.sender == _splits);
        for (uint256 i; i < payees.length; ++i) {
            uint256 amount = amounts[i];
            if (amount == 0) continue;
            bool paid =
                token == address(0) ? _coin(payees[i], amount) : _token(token, payees[i], amount);
            if (!paid) failed |= 1 << i;
        }
    }

    /// @notice Pay one payee or revert.
    function pay(address token, address to, uint256 amount) external {
        require(msg.sender == _splits);
        if (token == address(0)) Address.sendValue(payable(to), amount);
        else SafeERC20.safeTransfer(IERC20(token), to, amount);
    }

    function _coin(address to, uint256 amount) private returns (bool paid) {
        // What a call with value to a new account costs comes on top of the bound.
        require(gasleft() > COIN_GAS + COIN_GAS / 63 + 40_000);
        assembly ("memory-safe") {
            paid := call(COIN_GAS, to, amount, 0, 0, 0, 0)
        }
    }

    /// @dev Paid means as SafeERC20 has it: true, or nothing from an address that has code.
    function _token(address token, address to, uint256 amount) private returns (bool paid) {
        require(gasleft() > TOKEN_GAS + TOKEN_GAS / 63 + 10_000);
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        assembly ("memory-safe") {
            mstore(0, 0)
            paid := call(TOKEN_GAS, token, 0, add(data, 32), mload(data), 0, 32)
            switch returndatasize()
            case 0 { paid := and(paid, gt(extcodesize(token), 0)) }
            default { paid := and(paid, and(gt(returndatasize(), 31), eq(mload(0), 1))) }
        }
    }
}

/// @title Splits: an asset's income, divided
/// @notice A split says who gets which part of an asset's income. Its wallet is an address that
///         follows from its hash; whatever arrives there, by whatever way, is divided by it.
/// @dev Reasons, in the order a reader may ask:
///
///      Only hashes are stored. Every call carries the split, and the wallet's address is made from
///      its hash, so a wrong split is merely the split of another, empty wallet. The wallet has code
///      from the first withdrawal on; a sale pays a plain address and runs no loop.
///
///      A payee may be the wallet of another split. Splits have no cycles, because a hash cannot
///      contain itself.
///
///      A split is immutable. A successor has its own wallet: what arrived at the old one is divided
///      by the old one. A price that waits in Licences for its window to end arrives when it ends.
///      A wallet as payee cannot sign, so the share of a nested split, such as a parent's royalty,
///      never falls.
///
///      A payment that fails is booked as owed, and the others go on: no payee can block the rest,
///      nor can a token that blocks one payee. What division leaves, less than one unit a payee,
///      waits in the wallet.
///
///      Payments are pushed before those that failed are booked, because which fail is not known
///      before; so everything that moves money is guarded against re-entry as a whole.
///
///      Known and accepted: a token that takes a fee, changes balances by itself, or lies about
///      them cheats its own holders and nobody else: books are kept apart by split and token.
///      Somebody who owns a parent at registration owes it nothing, even if he gives it back after.
///
///      Nobody stands above the payees: no role, no pause, no upgrade.
contract Splits is ISplits, ReentrancyGuardTransient, TypedData {
    bytes32 private constant NAME = keccak256("Usufruct Splits");
    bytes32 private constant SUCCESSION =
        keccak256("Succession(uint256 asset,bytes32 from,bytes32 to)");

    /// @dev Why a split is refused, in `BadSplit`.
    uint8 private constant WRONG_ASSET = 1;
    uint8 private constant WRONG_VERSION = 2;
    uint8 private constant WRONG_COUNT = 3;
    uint8 private constant NOT_ASCENDING = 4;
    uint8 private constant ZERO_SHARE = 5;
    uint8 private constant WRONG_SUM = 6;

    /// @notice All shares together.
    uint256 public constant WHOLE = 1_000_000;

    /// @notice The most payees a split may have.
    uint256 public constant MAX_PAYEES = 64;

    /// @notice The contract whose assets' income is divided.
    IAssets public immutable assets;

    /// @notice The contract that knows royalties; deployed after this one, so not checked for code.
    ILicences public immutable licences;

    /// @notice What the wallets are clones of.
    address public immutable implementation;

    /// @notice What a split's wallet owes a payee, because a payment failed or was booked only.
    mapping(bytes32 splitHash => mapping(address token => mapping(address payee => uint256)))
        public owed;

    /// @notice All that a split's wallet owes; not divided again.
    mapping(bytes32 splitHash => mapping(address token => uint256)) public reserved;

    /// @notice A split governs the asset's income from now on.
    event SplitMade(
        uint256 indexed asset,
        bytes32 indexed splitHash,
        uint32 version,
        address[] payees,
        uint32[] shares
    );

    /// @notice A payee took what was put aside for it; `to` is where the money went.
    /// @dev Apart from Paid, so that events alone tell what is still put aside.
    event Claimed(
        bytes32 indexed splitHash,
        address indexed token,
        address indexed payee,
        address to,
        uint256 amount
    );

    /// @notice A payee was paid its share of a withdrawal; `to` is where the money went.
    event Paid(
        bytes32 indexed splitHash,
        address indexed token,
        address indexed payee,
        address to,
        uint256 amount
    );

    /// @notice A payee is owed this much more.
    event Owed(
        bytes32 indexed splitHash, address indexed token, address indexed payee, uint256 amount
    );

    /// @notice Only Assets may do this.
    error NotAssets(address caller);

    /// @notice The asset has a split, and nobody showed what it is.
    error SplitNotShown(bytes32 splitHash);

    /// @notice The split shown is another than the one the asset names.
    error WrongSplit(bytes32 expected, bytes32 shown);

    /// @notice The split is not well made: 1 another asset, 2 another version, 3 not 1 to 64 payees
    ///         with as many shares, 4 payees not ascending or zero, 5 a share is zero, 6 the shares
    ///         do not sum to 1,000,000.
    error BadSplit(uint8 why);

    /// @notice The split gives where a parent's income goes less than what is due there.
    error RoyaltyMissing(uint256 parent, uint256 due, uint256 given);

    /// @notice The licence shown gives its holder no terms of a parent: see `Licences.claimRoyalty`.
    error BadClaim(uint256 licence);

    /// @notice The asset's income is divided by another split now.
    error NotCurrentSplit(bytes32 splitHash);

    /// @notice A successor has the next version.
    error NotNextVersion(uint32 version);

    /// @notice A payee whose share falls has not signed.
    error ConsentMissing(address payee);

    /// @notice Nobody's share falls, so it is the same split again.
    error NothingFalls();

    /// @notice There is nothing to divide, or nothing owed.
    error NothingToPay();

    /// @notice Only the payee itself may send its money elsewhere.
    error NotPayee(address payee);

    constructor(IAssets assets_, ILicences licences_) {
        assets = assets_;
        licences = licences_;
        implementation = address(new SplitWallet());
    }

    /// @inheritdoc ISplits
    function opened(
        uint256 id,
        address owner,
        bytes32 splitHash,
        uint256[] calldata parents,
        bytes calldata terms
    ) external {
        require(msg.sender == address(assets), NotAssets(msg.sender));
        Split memory split;
        Claim[] memory claims;
        bytes memory shown = terms.length == 0 ? terms : abi.decode(terms, (bytes));
        if (shown.length != 0) (split, claims) = abi.decode(shown, (Split, Claim[]));
        if (splitHash == 0) {
            // Without a split there may still be claims, of licences that ask for no royalty.
            require(split.payees.length == 0, WrongSplit(0, _hash(split)));
        } else {
            require(shown.length != 0, SplitNotShown(splitHash));
            bytes32 found = _check(split);
            require(found == splitHash, WrongSplit(splitHash, found));
            require(split.asset == id, BadSplit(WRONG_ASSET));
            require(split.version == 1, BadSplit(WRONG_VERSION));
        }
        _checkRoyalties(owner, parents, claims, split);
        if (splitHash != 0) _announce(split, splitHash);
    }

    /// @notice Divide what has arrived at a split's wallet and pay it out. Anyone may.
    /// @param split The split.
    /// @param token An ERC-20, or zero for the chain's coin.
    function withdraw(Split calldata split, address token) external nonReentrant {
        bytes32 splitHash = _check(split);
        address wallet = _open(splitHash);
        uint256[] memory amounts = _divide(split, splitHash, wallet, token);
        uint256 failed = SplitWallet(payable(wallet)).push(token, split.payees, amounts);
        uint256 kept;
        for (uint256 i; i < amounts.length; ++i) {
            uint256 amount = amounts[i];
            if (amount == 0) continue;
            address payee = split.payees[i];
            if ((failed >> i) & 1 == 0) {
                emit Paid(splitHash, token, payee, payee, amount);
            } else {
                kept += amount;
                _book(splitHash, token, payee, amount);
            }
        }
        if (kept != 0) reserved[splitHash][token] += kept;
    }

    /// @notice Divide what has arrived at a split's wallet and book it, so that each payee fetches
    ///         its own. Anyone may.
    function credit(Split calldata split, address token) external nonReentrant {
        bytes32 splitHash = _check(split);
        uint256[] memory amounts = _divide(split, splitHash, walletOf(splitHash), token);
        uint256 kept;
        for (uint256 i; i < amounts.length; ++i) {
            if (amounts[i] == 0) continue;
            kept += amounts[i];
            _book(splitHash, token, split.payees[i], amounts[i]);
        }
        reserved[splitHash][token] += kept;
    }

    /// @notice Pay what a payee is owed: to itself by anyone, elsewhere by itself.
    function claim(bytes32 splitHash, address token, address payee, address to)
        external
        nonReentrant
    {
        require(to == payee || msg.sender == payee, NotPayee(payee));
        uint256 amount = owed[splitHash][token][payee];
        require(amount != 0, NothingToPay());
        owed[splitHash][token][payee] = 0;
        reserved[splitHash][token] -= amount;
        emit Claimed(splitHash, token, payee, to, amount);
        SplitWallet(payable(_open(splitHash))).pay(token, to, amount);
    }

    /// @notice Let another split govern an asset's later income. Anyone may submit it.
    /// @dev A split's version grows with each successor, so no hash comes twice and no signature
    ///      serves twice. Signatures beyond those needed are not read.
    /// @param old The present split.
    /// @param next Its successor.
    /// @param signatures Of `Succession(asset, from, to)`, one for each payee of `old` whose share
    ///        falls, in the order of `old`; of an account or an EIP-1271 contract.
    function succeed(Split calldata old, Split calldata next, bytes[] calldata signatures)
        external
        nonReentrant
    {
        bytes32 from = _check(old);
        uint256 id = old.asset;
        (, bytes32 present,) = assets.sale(id);
        require(from == present, NotCurrentSplit(present));
        bytes32 to = _check(next);
        require(next.asset == id, BadSplit(WRONG_ASSET));
        require(next.version == uint256(old.version) + 1, NotNextVersion(next.version));
        bytes32 digest = _digest(keccak256(abi.encode(SUCCESSION, id, from, to)));
        uint256 signed;
        for (uint256 i; i < old.payees.length; ++i) {
            address payee = old.payees[i];
            if (_share(next.payees, next.shares, payee) >= old.shares[i]) continue;
            require(
                signed < signatures.length
                    && SignatureChecker.isValidSignatureNowCalldata(
                        payee, digest, signatures[signed]
                    ),
                ConsentMissing(payee)
            );
            ++signed;
        }
        // the same shares again would need nobody's consent, and void the consents of others
        require(signed != 0, NothingFalls());
        _announce(next, to);
        assets.setSplit(id, to);
    }

    /// @notice Where the income of a split with this hash goes.
    function walletOf(bytes32 splitHash) public view returns (address) {
        return Clones.predictDeterministicAddress(implementation, splitHash);
    }

    /// @dev What is due to each parent must reach where the parent's income goes.
    function _checkRoyalties(
        address owner,
        uint256[] calldata parents,
        Claim[] memory claims,
        Split memory split
    ) private view {
        uint256 count = parents.length;
        uint256[] memory dues = _dues(owner, parents, claims);
        address[] memory places = new address[](count);
        for (uint256 i; i < count; ++i) {
            if (dues[i] == 0) continue;
            (, bytes32 parentSplit, address parentOwner) = assets.sale(parents[i]);
            places[i] = parentSplit == 0 ? parentOwner : walletOf(parentSplit);
            // Parents whose income goes to one place are due the sum there.
            uint256 due = dues[i];
            for (uint256 j; j < i; ++j) {
                if (places[j] == places[i]) due += dues[j];
            }
            uint256 given = _share(split.payees, split.shares, places[i]);
            require(given >= due, RoyaltyMissing(parents[i], due, given));
        }
    }

    /// @dev What is due to each parent: nothing to one's own, else the royalty of the licence shown,
    ///      the lowest of several, else the highest that the parent ever asked for.
    function _dues(address owner, uint256[] calldata parents, Claim[] memory claims)
        private
        view
        returns (uint256[] memory dues)
    {
        uint256 count = parents.length;
        dues = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            dues[i] = licences.royaltyOf(parents[i]);
        }
        for (uint256 c; c < claims.length; ++c) {
            (uint256 parent, uint256 royalty) = licences.claimRoyalty(claims[c], owner);
            uint256 i;
            while (i < count && parents[i] != parent) ++i;
            // The offer's fields are all static, so this is its id as Licences makes it.
            uint256 offer = uint192(uint256(keccak256(abi.encode(claims[c].offer))));
            require(i < count, BadClaim((offer << 64) | claims[c].serial));
            if (royalty < dues[i]) dues[i] = royalty;
        }
        for (uint256 i; i < count; ++i) {
            if (dues[i] != 0 && assets.ownerOf(parents[i]) == owner) dues[i] = 0;
        }
    }

    /// @dev What each payee gets of what has arrived and is not owed yet.
    function _divide(Split calldata split, bytes32 splitHash, address wallet, address token)
        private
        view
        returns (uint256[] memory amounts)
    {
        uint256 balance =
            token == address(0) ? wallet.balance : IERC20(token).balanceOf(wallet);
        uint256 taken = reserved[splitHash][token];
        // Less than is owed: the token took money away by itself.
        uint256 available = balance > taken ? balance - taken : 0;
        uint256 count = split.payees.length;
        amounts = new uint256[](count);
        uint256 sum;
        for (uint256 i; i < count; ++i) {
            amounts[i] = available * split.shares[i] / WHOLE;
            sum += amounts[i];
        }
        require(sum != 0, NothingToPay());
    }

    function _book(bytes32 splitHash, address token, address payee, uint256 amount) private {
        owed[splitHash][token][payee] += amount;
        emit Owed(splitHash, token, payee, amount);
    }

    /// @dev Put code where the wallet is, if there is none yet.
    function _open(bytes32 splitHash) private returns (address wallet) {
        wallet = walletOf(splitHash);
        if (wallet.code.length == 0) Clones.cloneDeterministic(implementation, splitHash);
    }

    function _announce(Split memory split, bytes32 splitHash) private {
        emit SplitMade(split.asset, splitHash, split.version, split.payees, split.shares);
    }

    /// @dev The share of a payee, 0 if it is none.
    function _share(address[] memory payees, uint32[] memory shares, address payee)
        private
        pure
        returns (uint256)
    {
        for (uint256 i; i < payees.length; ++i) {
            if (payees[i] == payee) return shares[i];
        }
        return 0;
    }

    /// @dev Returns the hash of a split that is well made.
    function _check(Split memory split) private pure returns (bytes32) {
        uint256 count = split.payees.length;
        require(
            count != 0 && count <= MAX_PAYEES && split.shares.length == count,
            BadSplit(WRONG_COUNT)
        );
        address last;
        uint256 sum;
        for (uint256 i; i < count; ++i) {
            require(split.payees[i] > last, BadSplit(NOT_ASCENDING));
            require(split.shares[i] != 0, BadSplit(ZERO_SHARE));
            last = split.payees[i];
            sum += split.shares[i];
        }
        require(sum == WHOLE, BadSplit(WRONG_SUM));
        return _hash(split);
    }

    function _hash(Split memory split) private pure returns (bytes32) {
        return keccak256(abi.encode(split.asset, split.version, split.payees, split.shares));
    }

    function _domainName() internal pure override returns (bytes32) {
        return NAME;
    }
}
