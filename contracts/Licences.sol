// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {ERC1155Utils} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Utils.sol";
import {IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IAssets} from "./IAssets.sol";
import {Claim, ILicences, Offer} from "./ILicences.sol";
import {TypedData} from "./TypedData.sol";

/// @notice The part of EIP-3009 that a purchase needs, with the signature in one piece.
interface IERC3009 {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;
}

/// @title Licences: offers to use assets, and what was bought of them
/// @notice An owner offers uses of an asset under terms that never change; each purchase is an
///         ERC-1155 token of its own, whose id is offer << 64 | serial.
/// @dev Reasons, in the order a reader may ask:
///
///      An offer is stored as its hash, with one word of state: how many were sold, whether it is
///      open, and whether its licences may change hands. Every call carries the offer, and a hash of
///      thirteen words is far cheaper than reading them. The id keeps 192 bits of the hash: to make
///      two offers of one id, an owner must try 2^96 of them.
///
///      A licence is one word: holder, end, uses granted, and until when its price may be asked
///      back. There is at most one of each id, so a balance is a comparison.
///
///      Without a refund window the price goes from the payer straight to where the asset's income
///      goes (`payTo`), and this contract never has it. With one, the price waits here until the
///      holder acknowledges, the window ends unchallenged, or it goes back to the payer. A licence
///      is settled or burnt once, and only then does its price leave, so it leaves once.
///
///      Times are of the block. A licence is good before its end and not at it: bought at t for p
///      seconds, it is good in [t, t + p). A challenge is in time before the refund deadline; from
///      the deadline on an unchallenged price can be released. A challenged one goes back on the
///      payer's demand from `refundWindow` seconds after the challenge, unless it was acknowledged
///      before. Acknowledging, and refunding by the owner, are possible until either happened.
///
///      A purchase emits TransferSingle and nothing else (with a window and another payer also
///      PayerNoted): offer, end, uses and deadline follow from OfferMade and the block's time.
///
///      Everything that hands control to strangers (tokens, payees, receivers) is guarded against
///      re-entry as a whole, and writes all of its own state before it does.
///
///      Known and accepted: a token that takes a fee is seen where the price waits here, and refused
///      there; where it goes straight on, the split divides what arrived. A refunded licence does
///      not free its place under the cap. Who pays for another (renewal included) trusts nobody, but
///      gets nothing. The price of a licence waiting for settlement goes where income goes then.
///
///      Nobody stands above the owners and the holders: no role, no pause, no upgrade.
contract Licences is ILicences, IERC1155, IERC1155Errors, ReentrancyGuardTransient, TypedData {
    using SafeERC20 for IERC20;

    bytes32 private constant NAME = keccak256("Usufruct Licences");
    bytes32 private constant USE = keccak256("Use(uint256 licence,uint32 total)");
    bytes32 private constant ACKNOWLEDGEMENT =
        keccak256("Acknowledgement(uint256 licence,bytes32 root)");

    /// @dev As in Assets.
    uint8 private constant ACTIVE = 1;

    /// @dev As in `usufruct.types.Use`.
    uint8 private constant LAST_USE = 3;
    uint8 private constant CALL = 3;

    uint256 private constant OPEN = 1;
    uint256 private constant CLOSED = 2;

    /// @dev Why an offer is refused, in `BadOffer`.
    uint8 private constant OTHER_ASSET = 1;
    uint8 private constant NO_SUCH_USE = 2;
    uint8 private constant ROYALTY_TOO_HIGH = 3;
    uint8 private constant WINDOW_TOO_LONG = 4;
    uint8 private constant NO_TOKEN = 5;
    uint8 private constant TOO_MANY_USES = 6;

    /// @dev Granted uses of a licence whose uses are not counted.
    uint32 private constant UNCOUNTED = type(uint32).max;

    /// @notice The longest refund window: 30 days.
    uint32 public constant MAX_WINDOW = 30 days;

    /// @notice The highest royalty: all of the income.
    uint32 public constant WHOLE = 1_000_000;

    /// @notice The contract whose assets are offered.
    IAssets public immutable assets;

    /// @notice The contract that makes the wallets of splits.
    address public immutable splits;

    /// @notice What those wallets are clones of.
    address public immutable implementation;

    /// @dev Sold in the lower 64 bits, then 8 of status, then 1 for transferable.
    mapping(uint192 offer => uint256 packedState) private _offers;

    /// @dev From above: holder 160, end 32, uses granted 32, refund deadline 32.
    mapping(uint256 licence => uint256 packedLicence) private _licences;

    mapping(uint256 licence => uint32) private _used;

    struct Escrow {
        address payer;
        uint64 challengedAt;
    }

    /// @dev Keeps what the payer signed together, for want of stack; `nonce` is the salt at first.
    struct Authorization {
        address payer;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        bytes signature;
    }

    /// @dev The payer only if it is not the holder.
    mapping(uint256 licence => Escrow) private _escrows;

    /// @dev Of each asset that was ever offered: where its income goes in the lower 160 bits, then 8
    ///      of state, then 32 of its highest royalty. A copy of what Assets knows (see `sync`), so
    ///      that a purchase reads one word instead of calling another contract for two.
    mapping(uint256 asset => uint256 packedSale) private _sales;

    /// @notice Whether an operator may move all licences of a holder (ERC-1155).
    mapping(address holder => mapping(address operator => bool)) public isApprovedForAll;

    /// @notice An offer was made; it is `terms`.
    event OfferMade(uint192 indexed offer, uint256 indexed asset, Offer terms);

    /// @notice An offer sells no more; licences of it stay.
    event OfferClosed(uint192 indexed offer);

    /// @notice A licence was bought by another than its holder, to whom a refund would go.
    event PayerNoted(uint256 indexed licence, address payer);

    /// @notice A licence was renewed; it has this end and these uses now.
    event Renewed(uint256 indexed licence, uint32 expiry, uint32 uses);

    /// @notice A holder's uses have come to `total`.
    event Used(uint256 indexed licence, uint32 total);

    /// @notice The holder or the payer objects within the window.
    event Challenged(uint256 indexed licence, address by);

    /// @notice The holder signed that it received content with this root; the price is paid out.
    event Acknowledged(uint256 indexed licence, bytes32 root);

    /// @notice The window ended unchallenged; the price is paid out.
    event Released(uint256 indexed licence);

    /// @notice The price went back to `to` and the licence is burnt.
    event Refunded(uint256 indexed licence, address to);

    /// @notice Only Assets may do this.
    error NotAssets(address caller);

    /// @notice The caller does not own the asset.
    error NotAssetOwner(uint256 id, address owner, address caller);

    /// @notice Nothing is sold of an asset that is not active.
    error NotActive(uint256 id, uint8 state);

    /// @notice There is no such offer.
    error UnknownOffer(uint192 offer);

    /// @notice The same offer was made before; another salt makes another offer.
    error OfferExists(uint192 offer);

    /// @notice The offer is closed.
    error OfferIsClosed(uint192 offer);

    /// @notice All licences of the offer are sold.
    error SoldOut(uint192 offer, uint32 cap);

    /// @notice The offer is for others; or the proof is wrong.
    error NotListed(address holder);

    /// @notice The offer is not well made: 1 of another asset, 2 no such use, 3 royalty above the
    ///         whole, 4 window above 30 days, 5 the token has no code, or is none where one is
    ///         needed, 6 more uses than can be counted.
    error BadOffer(uint8 why);

    /// @notice The coin sent is not what is asked for.
    error WrongValue(uint256 sent, uint256 price);

    /// @notice What arrived is not the price.
    error TokenTookFee(uint256 received, uint256 price);

    /// @notice There is no such licence.
    error UnknownLicence(uint256 licence);

    /// @notice The caller is not the holder (nor the payer, where the payer may do it too).
    error NotHolder(uint256 licence, address caller);

    /// @notice Licences of this offer do not change hands.
    error NotTransferable(uint256 licence);

    /// @notice The price may still be asked back, or waits for settlement.
    error InRefundWindow(uint256 licence, uint32 until);

    /// @notice The licence has ended.
    error Expired(uint256 licence, uint32 expiry);

    /// @notice The price is settled already, or never waited.
    error Settled(uint256 licence);

    /// @notice Not before `from`; 0 if it takes a challenge first.
    error NotYet(uint256 licence, uint256 from);

    /// @notice It was challenged before.
    error AlreadyChallenged(uint256 licence);

    /// @notice A challenged price is not released without acknowledgement.
    error IsChallenged(uint256 licence);

    /// @notice The signature is not the holder's.
    error BadSignature();

    /// @notice The uses of this licence are not counted.
    error NotCounted(uint256 licence);

    /// @notice Totals only grow.
    error UseNotGrowing(uint256 licence, uint32 used, uint32 total);

    /// @notice More uses than granted.
    error UsesExhausted(uint256 licence, uint32 granted, uint32 total);

    /// @notice The licence lasts for ever and is not counted.
    error NothingToRenew(uint256 licence);

    /// @notice The money can only go back to who paid.
    error WrongPayee(address expected, address given);

    /// @notice The licence gives no terms to make something under.
    error BadClaim(uint256 licence);

    /// @param assets_ The contract whose assets are offered.
    /// @param splits_ The contract that makes the wallets of splits.
    constructor(IAssets assets_, address splits_) {
        assets = assets_;
        splits = splits_;
        // Splits makes its implementation first of all: CREATE at nonce 1.
        implementation =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", splits_, hex"01")))));
    }

    // offers

    /// @inheritdoc ILicences
    function setOffers(uint256 id, uint32, address, bytes calldata offers) external {
        require(msg.sender == address(assets), NotAssets(msg.sender));
        (, Offer[] memory made) = abi.decode(offers, (bytes, Offer[]));
        for (uint256 i; i < made.length; ++i) {
            require(made[i].asset == id, BadOffer(OTHER_ASSET));
            _make(made[i]);
        }
    }

    /// @notice Offer uses of assets that are active; each by its asset's owner.
    function makeOffers(Offer[] calldata offers) external {
        for (uint256 i; i < offers.length; ++i) {
            Offer memory offer = offers[i];
            _checkOwner(offer.asset);
            _make(offer);
        }
    }

    /// @inheritdoc ILicences
    function sync(uint256 asset) external {
        if (_sales[asset] != 0) _sync(asset, 0);
    }

    /// @notice Sell no more of an offer; by the asset's owner, in any state of the asset.
    function closeOffer(Offer calldata offer) external {
        uint192 id = _offerId(offer);
        uint256 state = _openState(id);
        _checkOwner(offer.asset);
        _offers[id] = state ^ ((OPEN ^ CLOSED) << 64);
        emit OfferClosed(id);
    }

    // buying

    /// @notice Buy a licence for `holder` with the chain's coin, or a token by standing allowance.
    /// @param offer The offer.
    /// @param holder Who holds the licence.
    /// @param proof Shows that the holder is on the allow list; empty if there is none.
    /// @return id The id of the licence.
    function buy(Offer calldata offer, address holder, bytes32[] calldata proof)
        external
        payable
        nonReentrant
        returns (uint256 id)
    {
        address payee;
        (id, payee) = _sell(offer, holder, proof, msg.sender);
        _collect(offer, offer.refundWindow == 0 ? payee : address(this));
        _greet(msg.sender, address(0), holder, id, "");
    }

    /// @notice Buy with an EIP-2612 permit for the price, signed by the caller.
    /// @dev A permit that fails is passed over: somebody may have submitted it before, so what
    ///      counts is the allowance.
    function buyWithPermit(
        Offer calldata offer,
        address holder,
        bytes32[] calldata proof,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (uint256 id) {
        address payee;
        (id, payee) = _sell(offer, holder, proof, msg.sender);
        require(offer.token != address(0), BadOffer(NO_TOKEN));
        try IERC20Permit(offer.token).permit(
            msg.sender, address(this), offer.price, deadline, v, r, s
        ) {} catch {}
        _collect(offer, offer.refundWindow == 0 ? payee : address(this));
        _greet(msg.sender, address(0), holder, id, "");
    }

    /// @notice Buy with an EIP-3009 authorization for the price, signed by `payer`; anyone submits.
    /// @dev It authorizes this contract to receive, under a nonce made from offer, holder and salt,
    ///      so who submits it can change none of them. What arrives is measured, because a token
    ///      without EIP-3009 may take any call in silence, and others' prices wait here.
    /// @param payer Who pays.
    /// @param validAfter As signed.
    /// @param validBefore As signed.
    /// @param salt The nonce signed is keccak256(abi.encode(uint256(offerId), holder, salt)).
    /// @param signature Of the payer, an account or an EIP-1271 contract.
    function buyWithAuthorization(
        Offer calldata offer,
        address holder,
        bytes32[] calldata proof,
        address payer,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 salt,
        bytes calldata signature
    ) external nonReentrant returns (uint256 id) {
        Authorization memory signed =
            Authorization(payer, validAfter, validBefore, salt, signature);
        address payee;
        (id, payee) = _sell(offer, holder, proof, signed.payer);
        signed.nonce = keccak256(abi.encode(id >> 64, holder, signed.nonce));
        _receive(offer.token, offer.price, signed);
        if (offer.refundWindow == 0) _pay(offer.token, payee, offer.price);
        _greet(signed.payer, address(0), holder, id, "");
    }

    /// @notice Give a licence another period and more uses for the offer's price; anyone may pay.
    function renew(Offer calldata offer, uint64 serial) external payable nonReentrant {
        uint256 id = _id(_offerId(offer), serial);
        _openState(uint192(id >> 64));
        uint256 word = _existing(id);
        require(_deadline(word) == 0, InRefundWindow(id, _deadline(word)));
        address payee = _sellable(offer.asset);
        uint32 expiry = _expiry(word);
        uint32 uses = _granted(word);
        // what is free is bought anew, under the cap and the list
        require((expiry != 0 || uses != UNCOUNTED) && offer.price != 0, NothingToRenew(id));
        if (expiry != 0) {
            uint256 from = expiry > block.timestamp ? expiry : block.timestamp;
            expiry = _capped(from + offer.period, type(uint32).max);
        }
        if (uses != UNCOUNTED) uses = _capped(uint256(uses) + offer.uses, UNCOUNTED - 1);
        _licences[id] = _pack(_owner(word), expiry, uses, 0);
        emit Renewed(id, expiry, uses);
        _collect(offer, payee);
    }

    // using

    /// @notice Post how many uses a holder has made, by its signature; anyone may.
    /// @param total All uses so far, not those since the last time.
    /// @param signature The holder's, of `Use(licence, total)`.
    function recordUse(uint256 id, uint32 total, bytes calldata signature) external {
        uint256 word = _existing(id);
        uint32 granted = _granted(word);
        require(granted != UNCOUNTED, NotCounted(id));
        _checkGood(id, word);
        uint32 used = _used[id];
        require(total > used, UseNotGrowing(id, used, total));
        require(total <= granted, UsesExhausted(id, granted, total));
        _checkSigned(_owner(word), keccak256(abi.encode(USE, id, total)), signature);
        _used[id] = total;
        emit Used(id, total);
    }

    // settling

    /// @notice Object within the window: the price stays until acknowledged or refunded.
    function challenge(Offer calldata offer, uint64 serial) external {
        (uint256 id, uint256 word) = _unsettled(offer, serial);
        Escrow storage escrow = _escrows[id];
        require(
            msg.sender == _owner(word) || msg.sender == escrow.payer, NotHolder(id, msg.sender)
        );
        uint32 deadline = _deadline(word);
        require(block.timestamp < deadline, Expired(id, deadline));
        require(escrow.challengedAt == 0, AlreadyChallenged(id));
        escrow.challengedAt = uint64(block.timestamp);
        emit Challenged(id, msg.sender);
    }

    /// @notice Post the holder's signature that it received the content; the price is paid out.
    /// @param root The content root it signed for, for whoever reads the event.
    /// @param signature The holder's, of `Acknowledgement(licence, root)`.
    function acknowledge(
        Offer calldata offer,
        uint64 serial,
        bytes32 root,
        bytes calldata signature
    ) external nonReentrant {
        (uint256 id, uint256 word) = _unsettled(offer, serial);
        _checkSigned(_owner(word), keccak256(abi.encode(ACKNOWLEDGEMENT, id, root)), signature);
        _settle(id, word);
        emit Acknowledged(id, root);
        _pay(offer.token, payTo(offer.asset), offer.price);
    }

    /// @notice Give the price back and burn the licence.
    /// @dev The asset's owner may at any time before settlement, to the payer alone; the payer may
    ///      once a challenge has gone unanswered for as long as the window, to wherever it likes, so
    ///      that no token can trap the money by blocking one address.
    function refund(Offer calldata offer, uint64 serial, address to) external nonReentrant {
        (uint256 id, uint256 word) = _unsettled(offer, serial);
        _checkRefund(offer, id, word, to);
        address holder = _owner(word);
        delete _licences[id];
        delete _escrows[id];
        delete _used[id];
        emit TransferSingle(msg.sender, holder, address(0), id, 1);
        emit Refunded(id, to);
        _pay(offer.token, to, offer.price);
    }

    /// @notice Pay out what waited to the end of its window unchallenged; anyone may.
    function release(Offer calldata offer, uint64[] calldata serials) external nonReentrant {
        uint192 sold = _offerId(offer);
        for (uint256 i; i < serials.length; ++i) {
            uint256 id = _id(sold, serials[i]);
            uint256 word = _existing(id);
            uint32 deadline = _deadline(word);
            require(deadline != 0, Settled(id));
            require(block.timestamp >= deadline, NotYet(id, deadline));
            require(_escrows[id].challengedAt == 0, IsChallenged(id));
            _settle(id, word);
            emit Released(id);
        }
        _pay(offer.token, payTo(offer.asset), serials.length * offer.price);
    }

    // ERC-1155

    /// @inheritdoc IERC1155
    function setApprovalForAll(address operator, bool approved) external {
        require(operator != address(0), ERC1155InvalidOperator(address(0)));
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    /// @inheritdoc IERC1155
    function safeTransferFrom(
        address from,
        address to,
        uint256 id,
        uint256 value,
        bytes calldata data
    ) external nonReentrant {
        _checkMover(from, to);
        _move(from, to, id, value);
        emit TransferSingle(msg.sender, from, to, id, value);
        _greet(msg.sender, from, to, id, data);
    }

    /// @inheritdoc IERC1155
    function safeBatchTransferFrom(
        address from,
        address to,
        uint256[] calldata ids,
        uint256[] calldata values,
        bytes calldata data
    ) external nonReentrant {
        require(
            ids.length == values.length, ERC1155InvalidArrayLength(ids.length, values.length)
        );
        _checkMover(from, to);
        for (uint256 i; i < ids.length; ++i) {
            _move(from, to, ids[i], values[i]);
        }
        emit TransferBatch(msg.sender, from, to, ids, values);
        ERC1155Utils.checkOnERC1155BatchReceived(msg.sender, from, to, ids, values, data);
    }

    /// @inheritdoc IERC1155
    function balanceOf(address account, uint256 id) public view returns (uint256) {
        return account != address(0) && _owner(_licences[id]) == account ? 1 : 0;
    }

    /// @inheritdoc IERC1155
    function balanceOfBatch(address[] calldata accounts, uint256[] calldata ids)
        external
        view
        returns (uint256[] memory balances)
    {
        require(
            accounts.length == ids.length, ERC1155InvalidArrayLength(ids.length, accounts.length)
        );
        balances = new uint256[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            balances[i] = balanceOf(accounts[i], ids[i]);
        }
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC1155).interfaceId || interfaceId == type(IERC165).interfaceId;
    }

    // asking

    /// @notice A licence as it stands; all zeros if there is none.
    /// @return owner Its holder.
    /// @return expiry From when it is not good any more, 0 for never.
    /// @return uses How many uses it is good for in all, 2^32 - 1 if they are not counted.
    /// @return refundDeadline Until when it may be challenged, 0 once its price is settled.
    /// @return used How many uses were recorded.
    function licence(uint256 id)
        external
        view
        returns (address owner, uint32 expiry, uint32 uses, uint32 refundDeadline, uint32 used)
    {
        uint256 word = _licences[id];
        return (_owner(word), _expiry(word), _granted(word), _deadline(word), _used[id]);
    }

    /// @notice An offer as it stands.
    /// @return sold How many licences were sold; the last one's serial.
    /// @return status 0 for no such offer, 1 open, 2 closed.
    /// @return transferable Whether its licences may change hands.
    function offerState(uint192 offer)
        external
        view
        returns (uint64 sold, uint8 status, bool transferable)
    {
        uint256 state = _offers[offer];
        return (uint64(state), uint8(state >> 64), (state >> 72) & 1 == 1);
    }

    /// @notice The id of an offer.
    function offerId(Offer calldata offer) external pure returns (uint192) {
        return uint192(uint256(keccak256(abi.encode(offer))));
    }

    /// @notice Where an asset's income goes: its split's wallet, or its owner if it has none.
    function payTo(uint256 asset) public view returns (address) {
        (, bytes32 splitHash, address owner) = assets.sale(asset);
        return _place(splitHash, owner);
    }

    /// @inheritdoc ILicences
    function royaltyOf(uint256 asset) external view returns (uint32) {
        return uint32(_sales[asset] >> 168);
    }

    /// @notice When a licence whose price waits was challenged, 0 for never.
    function challengedAt(uint256 id) external view returns (uint64) {
        return _deadline(_licences[id]) == 0 ? 0 : _escrows[id].challengedAt;
    }

    /// @notice Whose the price is that waits for a licence's settlement, zero if none waits.
    function payerOf(uint256 id) external view returns (address) {
        uint256 word = _licences[id];
        return _deadline(word) == 0 ? address(0) : _payer(id, word);
    }

    /// @inheritdoc ILicences
    function claimRoyalty(Claim calldata claim, address holder)
        external
        view
        returns (uint256 asset, uint32 royalty)
    {
        Offer calldata offer = claim.offer;
        uint256 id = _id(_offerId(offer), claim.serial);
        uint256 word = _licences[id];
        uint32 expiry = _expiry(word);
        bool good = holder != address(0) && _owner(word) == holder && _deadline(word) == 0
            && (expiry == 0 || block.timestamp < expiry);
        // A right to call gives none to make something, and its offers rarely name a royalty.
        require(good && offer.use != CALL, BadClaim(id));
        return (offer.asset, offer.royalty);
    }

    // inner parts

    function _make(Offer memory offer) private {
        require(offer.use <= LAST_USE, BadOffer(NO_SUCH_USE));
        require(offer.royalty <= WHOLE, BadOffer(ROYALTY_TOO_HIGH));
        require(offer.refundWindow <= MAX_WINDOW, BadOffer(WINDOW_TOO_LONG));
        require(offer.token == address(0) || offer.token.code.length != 0, BadOffer(NO_TOKEN));
        require(offer.uses != UNCOUNTED, BadOffer(TOO_MANY_USES));
        uint192 id;
        assembly ("memory-safe") {
            id := and(keccak256(offer, 416), 0xffffffffffffffffffffffffffffffffffffffffffffffff)
        }
        require(_offers[id] == 0, OfferExists(id));
        _offers[id] = (OPEN << 64) | (offer.transferable ? 1 << 72 : 0);
        uint8 state = _sync(offer.asset, offer.royalty);
        require(state == ACTIVE, NotActive(offer.asset, state));
        emit OfferMade(id, offer.asset, offer);
    }

    /// @dev Copies what Assets knows of an asset, and keeps the highest royalty.
    function _sync(uint256 asset, uint32 royalty) private returns (uint8 state) {
        bytes32 splitHash;
        address owner;
        (state, splitHash, owner) = assets.sale(asset);
        uint256 word = _sales[asset];
        uint256 highest = word >> 168 > royalty ? word >> 168 : royalty;
        uint256 fresh = (highest << 168) | (uint256(state) << 160)
            | uint160(_place(splitHash, owner));
        if (fresh != word) _sales[asset] = fresh;
    }

    /// @dev Checks that the offer sells to the holder, and writes the licence.
    function _sell(Offer calldata offer, address holder, bytes32[] calldata proof, address payer)
        private
        returns (uint256 id, address payee)
    {
        require(holder != address(0), ERC1155InvalidReceiver(address(0)));
        uint192 offer_ = _offerId(offer);
        uint256 state = _openState(offer_) + 1;
        uint32 cap = offer.cap;
        require(cap == 0 || uint64(state) <= cap, SoldOut(offer_, cap));
        if (offer.allowRoot != 0) _checkListed(offer.allowRoot, holder, proof);
        payee = _sellable(offer.asset);
        _offers[offer_] = state;
        id = _id(offer_, uint64(state));
        uint256 window = offer.refundWindow;
        _licences[id] = _newWord(offer, holder, window);
        emit TransferSingle(payer, address(0), holder, id, 1);
        if (window != 0 && payer != holder) {
            _escrows[id].payer = payer;
            emit PayerNoted(id, payer);
        }
    }

    function _newWord(Offer calldata offer, address holder, uint256 window)
        private
        view
        returns (uint256)
    {
        uint256 period = offer.period;
        uint32 uses = offer.uses;
        return _pack(
            holder,
            period == 0 ? 0 : _capped(block.timestamp + period, type(uint32).max),
            uses == 0 ? UNCOUNTED : uses,
            window == 0 ? 0 : uint32(block.timestamp + window)
        );
    }

    /// @dev Takes the price from the caller to where it belongs.
    function _collect(Offer calldata offer, address to) private {
        address token = offer.token;
        uint256 price = offer.price;
        uint256 due = token == address(0) ? price : 0;
        require(msg.value == due, WrongValue(msg.value, due));
        if (price == 0) return;
        if (token == address(0)) {
            if (to != address(this)) Address.sendValue(payable(to), price);
        } else if (to == address(this)) {
            uint256 before = IERC20(token).balanceOf(to);
            IERC20(token).safeTransferFrom(msg.sender, to, price);
            _checkArrived(token, before, price);
        } else {
            IERC20(token).safeTransferFrom(msg.sender, to, price);
        }
    }

    /// @dev Takes the price by an EIP-3009 authorization.
    function _receive(address token, uint256 price, Authorization memory signed) private {
        require(token != address(0), BadOffer(NO_TOKEN));
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC3009(token).receiveWithAuthorization(
            signed.payer,
            address(this),
            price,
            signed.validAfter,
            signed.validBefore,
            signed.nonce,
            signed.signature
        );
        _checkArrived(token, before, price);
    }

    function _checkArrived(address token, uint256 before, uint256 price) private view {
        uint256 now_ = IERC20(token).balanceOf(address(this));
        uint256 received = now_ > before ? now_ - before : 0;
        require(received == price, TokenTookFee(received, price));
    }

    function _pay(address token, address to, uint256 amount) private {
        if (amount == 0) return;
        if (token == address(0)) Address.sendValue(payable(to), amount);
        else IERC20(token).safeTransfer(to, amount);
    }

    function _settle(uint256 id, uint256 word) private {
        _licences[id] = word & ~uint256(type(uint32).max);
        delete _escrows[id];
    }

    /// @dev Moves one licence. There is one of each, so any other value is more than there is.
    function _move(address from, address to, uint256 id, uint256 value) private {
        uint256 word = _licences[id];
        bool held = _owner(word) == from;
        require(held && value == 1, ERC1155InsufficientBalance(from, held ? 1 : 0, value, id));
        require((_offers[uint192(id >> 64)] >> 72) & 1 == 1, NotTransferable(id));
        require(_deadline(word) == 0, InRefundWindow(id, _deadline(word)));
        _checkGood(id, word);
        _licences[id] = (word & type(uint96).max) | (uint256(uint160(to)) << 96);
    }

    /// @dev Tells a receiving contract, which may refuse.
    function _greet(address operator, address from, address to, uint256 id, bytes memory data)
        private
    {
        ERC1155Utils.checkOnERC1155Received(operator, from, to, id, 1, data);
    }

    function _checkMover(address from, address to) private view {
        require(from != address(0), ERC1155InvalidSender(address(0)));
        require(to != address(0), ERC1155InvalidReceiver(address(0)));
        require(
            from == msg.sender || isApprovedForAll[from][msg.sender],
            ERC1155MissingApprovalForAll(msg.sender, from)
        );
    }

    function _checkRefund(Offer calldata offer, uint256 id, uint256 word, address to)
        private
        view
    {
        address payer = _payer(id, word);
        uint256 from = _escrows[id].challengedAt;
        if (from != 0) from += offer.refundWindow;
        if (msg.sender == payer && from != 0 && block.timestamp >= from) return;
        address owner = assets.ownerOf(offer.asset);
        if (msg.sender == owner) {
            require(to == payer, WrongPayee(payer, to));
        } else {
            require(msg.sender == payer, NotAssetOwner(offer.asset, owner, msg.sender));
            revert NotYet(id, from);
        }
    }

    /// @dev The allow list is a tree as OpenZeppelin's libraries make it, with the leaf hashed twice.
    function _checkListed(bytes32 root, address holder, bytes32[] calldata proof) private pure {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(holder))));
        require(MerkleProof.verifyCalldata(proof, root, leaf), NotListed(holder));
    }

    function _checkSigned(address signer, bytes32 structHash, bytes calldata signature)
        private
        view
    {
        bool good = SignatureChecker.isValidSignatureNowCalldata(
            signer, _digest(structHash), signature
        );
        require(good, BadSignature());
    }

    function _checkGood(uint256 id, uint256 word) private view {
        uint32 expiry = _expiry(word);
        require(expiry == 0 || block.timestamp < expiry, Expired(id, expiry));
    }

    function _checkOwner(uint256 asset) private view {
        address owner = assets.ownerOf(asset);
        require(owner == msg.sender, NotAssetOwner(asset, owner, msg.sender));
    }

    /// @dev The state word of an offer that is open.
    function _openState(uint192 offer) private view returns (uint256 state) {
        state = _offers[offer];
        require(state != 0, UnknownOffer(offer));
        require(uint8(state >> 64) == OPEN, OfferIsClosed(offer));
    }

    /// @dev Where the income of an asset goes that is active.
    function _sellable(uint256 asset) private view returns (address) {
        uint256 word = _sales[asset];
        uint8 state = uint8(word >> 160);
        require(state == ACTIVE, NotActive(asset, state));
        return address(uint160(word));
    }

    function _place(bytes32 splitHash, address owner) private view returns (address) {
        if (splitHash == 0) return owner;
        return Clones.predictDeterministicAddress(implementation, splitHash, splits);
    }

    function _existing(uint256 id) private view returns (uint256 word) {
        word = _licences[id];
        require(word != 0, UnknownLicence(id));
    }

    function _unsettled(Offer calldata offer, uint64 serial)
        private
        view
        returns (uint256 id, uint256 word)
    {
        id = _id(_offerId(offer), serial);
        word = _existing(id);
        require(_deadline(word) != 0, Settled(id));
    }

    function _payer(uint256 id, uint256 word) private view returns (address payer) {
        payer = _escrows[id].payer;
        if (payer == address(0)) payer = _owner(word);
    }

    /// @dev The hash of the calldata as it is. Words that are not clean encodings of their types
    ///      make an id that no offer has, because offers are made from checked values.
    function _offerId(Offer calldata offer) private pure returns (uint192 id) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, offer, 416)
            id := and(keccak256(free, 416), 0xffffffffffffffffffffffffffffffffffffffffffffffff)
        }
    }

    function _id(uint192 offer, uint64 serial) private pure returns (uint256) {
        return (uint256(offer) << 64) | serial;
    }

    function _pack(address owner, uint32 expiry, uint32 uses, uint32 deadline)
        private
        pure
        returns (uint256)
    {
        return (uint256(uint160(owner)) << 96) | (uint256(expiry) << 64) | (uint256(uses) << 32)
            | deadline;
    }

    function _owner(uint256 word) private pure returns (address) {
        return address(uint160(word >> 96));
    }

    function _expiry(uint256 word) private pure returns (uint32) {
        return uint32(word >> 64);
    }

    function _granted(uint256 word) private pure returns (uint32) {
        return uint32(word >> 32);
    }

    function _deadline(uint256 word) private pure returns (uint32) {
        return uint32(word);
    }

    function _capped(uint256 value, uint32 limit) private pure returns (uint32) {
        return value < limit ? uint32(value) : limit;
    }

    function _domainName() internal pure override returns (bytes32) {
        return NAME;
    }
}
