// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IDepositCollector} from "./IDepositCollector.sol";
import {TypedData} from "./TypedData.sol";

/// @notice Who pays whom in what; never changes, and its EIP-712 digest is the channel's id.
struct ChannelConfig {
    /// Who deposits, and gets back what is left.
    address payer;
    /// Whose key signs vouchers; zero for the payer, which may then be a contract (EIP-1271).
    address payerAuthorizer;
    /// Who is paid.
    address receiver;
    /// Who may claim and refund for the receiver, also by signature; may be a contract.
    address receiverAuthorizer;
    /// The ERC-20 token.
    address token;
    /// Seconds between asking for a withdrawal and having it: 15 minutes to 30 days.
    uint40 withdrawDelay;
    /// Makes two channels of the same parties two.
    bytes32 salt;
}

/// @notice The payer's word that up to `maxClaimableAmount` in all may be claimed of a channel.
struct Voucher {
    ChannelConfig channel;
    uint128 maxClaimableAmount;
}

/// @notice A voucher with its signature, and how much is claimed of it in all.
struct VoucherClaim {
    Voucher voucher;
    bytes signature;
    uint128 totalClaimed;
}

/// @title Channels: money put aside once, spent by signatures, claimed many at a time
/// @notice A payer deposits; signs vouchers, each for the total so far; the receiver claims the
///         newest ones and is paid for all its channels together. What is not claimed goes back: at
///         once if the receiver agrees, else after the delay.
/// @dev The ABI and the EIP-712 domain of x402's batch settlement, so that its clients, servers and
///      facilitators work here; `claimPacked` is our own. Reasons, in the order a reader may ask:
///
///      A channel is one word: what was deposited and not taken back, and what was claimed in all.
///      Totals only grow, so a voucher needs no nonce: the same again claims nothing, and an older
///      one less than is claimed already. No claim goes above the voucher nor above the deposit.
///
///      The config is never stored. Every call shows it, and its digest is the id; the digest binds
///      chain and contract too. ChannelCreated keeps it for everybody to read.
///
///      Claiming moves no money: the receiver's total for the token grows, and `settle`, which
///      anyone may call, pays what is not paid yet. So a batch of claims costs no transfer a row,
///      and a receiver that cannot be paid blocks nobody.
///
///      A withdrawal gives the receiver the delay to claim in. It is cut to what is left then. The
///      payer can begin it anew at will; the payer's authorizer only where none is pending, so a
///      lost key of a session cannot keep putting it off. The amount 2^128 - 1 means all there is,
///      so a claim in between does not make the call fail.
///
///      A deposit is measured, and refused unless exactly the amount arrived: a token that keeps a
///      fee cannot make this contract owe more than it has. Everything that hands control to tokens
///      or collectors is guarded against re-entry as a whole, and writes its state before it pays.
///      Claims ask strangers only by static calls.
///
///      Known and accepted: a token whose balances shrink by themselves leaves too little for the
///      last. A payer that is a contract can disown its vouchers; claim those at once, or take none
///      (claimPacked takes none). A voucher outlives withdrawals: after a new deposit it is good
///      again as far as it goes beyond what was claimed.
///
///      Nobody stands above payer and receiver: no owner, no fee, no pause, no upgrade. There is no
///      constructor and no immutable, so this code can be put into the first block of a ledger.
contract Channels is Multicall, ReentrancyGuardTransient, TypedData {
    using SafeERC20 for IERC20;

    struct PendingWithdrawal {
        uint128 amount;
        uint40 initiatedAt;
    }

    struct Receiver {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    /// @dev Claims of rows in a line that are for the same receiver and token, written once.
    struct Tally {
        address receiver;
        address token;
        uint128 gained;
    }

    bytes32 private constant NAME = keccak256("x402 Batch Settlement");
    bytes32 private constant CONFIG = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );
    bytes32 private constant VOUCHER =
        keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 private constant REFUND =
        keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");
    bytes32 private constant CLAIM_ENTRY = keccak256(
        "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );
    bytes32 private constant CLAIM_BATCH = keccak256(
        "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );

    /// @dev Why a config is refused, in `BadConfig`.
    uint8 private constant NO_PAYER = 1;
    uint8 private constant NO_RECEIVER = 2;
    uint8 private constant NO_AUTHORIZER = 3;
    uint8 private constant DELAY_OUT_OF_RANGE = 4;
    uint8 private constant NO_TOKEN = 5;

    /// @notice The shortest time a receiver has to claim in: 15 minutes.
    uint40 public constant MIN_WITHDRAW_DELAY = 15 minutes;

    /// @notice The longest time a payer can be made to wait: 30 days.
    uint40 public constant MAX_WITHDRAW_DELAY = 30 days;

    /// @notice Bytes of a row of `claimPacked`.
    uint256 public constant PACKED_ROW = 173;

    /// @dev What `initiateWithdraw` takes for all there is.
    uint128 private constant ALL = type(uint128).max;

    /// @dev From above: claimed in all 128, deposited and not taken back 128.
    mapping(bytes32 channelId => uint256 packedChannel) private _channels;

    /// @notice What a payer asked back, and when; zeros if nothing.
    mapping(bytes32 channelId => PendingWithdrawal) public pendingWithdrawals;

    /// @notice What a receiver claimed of a token, and was paid of it.
    mapping(address receiver => mapping(address token => Receiver)) public receivers;

    /// @notice The nonce of the next refund, signed or not.
    mapping(bytes32 channelId => uint256) public refundNonce;

    /// @notice A channel got its first deposit, or the first since it was emptied unclaimed.
    event ChannelCreated(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed receiver,
        ChannelConfig config
    );

    /// @notice A deposit arrived; `balance` is what was deposited and not taken back, claims included.
    event Deposited(bytes32 indexed channelId, uint128 amount, uint128 balance);

    /// @notice `totalClaimed` is claimed of the channel in all.
    event Claimed(bytes32 indexed channelId, uint128 totalClaimed);

    /// @notice A receiver was paid what it had claimed of a token.
    event Settled(
        address indexed receiver, address indexed token, address indexed sender, uint128 amount
    );

    /// @notice The payer asks `amount` back and gets it from `until` on; claim before.
    event WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 until);

    /// @notice The payer took `amount` back; zero if everything was claimed meanwhile.
    event WithdrawFinalized(bytes32 indexed channelId, uint128 amount);

    /// @notice The receiver gave `amount` back under `nonce`; zero if nothing was left.
    event Refunded(bytes32 indexed channelId, uint256 nonce, uint128 amount);

    /// @notice The config is not well made: 1 no payer, 2 no receiver, 3 no authorizer of the
    ///         receiver, 4 a delay below 15 minutes or above 30 days, 5 the token has no code.
    error BadConfig(uint8 why);

    /// @notice Nothing is not an amount.
    error NoAmount();

    /// @notice What arrived is not the amount.
    error TokenTookFee(uint256 received, uint256 price);

    /// @notice Only the channel's receiver or its authorizer may do this.
    error NotReceiver(bytes32 channelId, address caller);

    /// @notice Only the channel's payer or its authorizer may do this.
    error NotPayer(bytes32 channelId, address caller);

    /// @notice The voucher is not signed by the channel's payer.
    error BadVoucher(bytes32 channelId);

    /// @notice More is claimed than the voucher allows.
    error AboveVoucher(bytes32 channelId, uint128 total, uint128 maximum);

    /// @notice More is asked for than the channel has.
    error AboveBalance(bytes32 channelId, uint256 asked, uint256 available);

    /// @notice The signature is not that of the receiver's authorizer.
    error NotAuthorized(address authorizer);

    /// @notice The rows of a signed batch have the same authorizer, and there is at least one.
    error MixedBatch();

    /// @notice Packed rows have `PACKED_ROW` bytes each.
    error BadRows(uint256 length);

    /// @notice The next refund has another nonce.
    error WrongNonce(bytes32 channelId, uint256 nonce, uint256 given);

    /// @notice A withdrawal is pending; only the payer itself may begin it anew.
    error WithdrawalPending(bytes32 channelId, uint40 until);

    /// @notice The withdrawal cannot be had before `until`; 0 if none was asked for.
    error WithdrawalNotDue(bytes32 channelId, uint40 until);

    // paying in

    /// @notice Deposit into a channel, making it if it is new. Anyone may.
    /// @param config The channel.
    /// @param amount How much.
    /// @param collector What fetches it from the payer; zero to take it from the caller by its
    ///        allowance, whoever the payer is.
    /// @param collectorData What the collector needs.
    function deposit(
        ChannelConfig calldata config,
        uint128 amount,
        address collector,
        bytes calldata collectorData
    ) external nonReentrant {
        _checkConfig(config);
        require(amount != 0, NoAmount());
        bytes32 id = _channelId(DOMAIN_SEPARATOR(), config);
        IERC20 token = IERC20(config.token);
        uint256 before = token.balanceOf(address(this));
        if (collector == address(0)) {
            token.safeTransferFrom(msg.sender, address(this), amount);
        } else {
            IDepositCollector(collector).collect(
                config.payer, address(token), amount, id, collectorData
            );
        }
        uint256 now_ = token.balanceOf(address(this));
        uint256 received = now_ > before ? now_ - before : 0;
        require(received == amount, TokenTookFee(received, amount));
        // read only now: a claim may have come in between
        uint256 word = _channels[id];
        uint256 balance = uint256(_balance(word)) + amount;
        require(balance <= type(uint128).max, AboveBalance(id, balance, type(uint128).max));
        _channels[id] = word + amount;
        if (word == 0) emit ChannelCreated(id, config.payer, config.receiver, config);
        emit Deposited(id, amount, uint128(balance));
    }

    // being paid

    /// @notice Claim by vouchers; by the receiver, or its authorizer, of every row. A row that
    ///         claims no more than is claimed already does nothing.
    function claim(VoucherClaim[] calldata voucherClaims) external {
        bytes32 separator = DOMAIN_SEPARATOR();
        Tally memory tally;
        for (uint256 i; i < voucherClaims.length; ++i) {
            ChannelConfig calldata config = voucherClaims[i].voucher.channel;
            bytes32 id = _channelId(separator, config);
            _checkReceiver(id, config);
            _claim(separator, id, voucherClaims[i], tally);
        }
        _credit(tally);
    }

    /// @notice Claim by vouchers with the signature of the receivers' authorizer, the same in every
    ///         row, over the whole batch. Anyone may submit it, and submit it again in vain.
    function claimWithSignature(
        VoucherClaim[] calldata voucherClaims,
        bytes calldata authorizerSignature
    ) external {
        require(voucherClaims.length != 0, MixedBatch());
        bytes32 separator = DOMAIN_SEPARATOR();
        address authorizer = voucherClaims[0].voucher.channel.receiverAuthorizer;
        bytes32[] memory entries = new bytes32[](voucherClaims.length);
        Tally memory tally;
        for (uint256 i; i < voucherClaims.length; ++i) {
            VoucherClaim calldata row = voucherClaims[i];
            require(row.voucher.channel.receiverAuthorizer == authorizer, MixedBatch());
            bytes32 id = _channelId(separator, row.voucher.channel);
            entries[i] = _entryHash(id, row.voucher.maxClaimableAmount, row.totalClaimed);
            _claim(separator, id, row, tally);
        }
        _credit(tally);
        _checkAuthorized(authorizer, _batchDigest(separator, entries), authorizerSignature);
    }

    /// @notice Claim by vouchers of one receiver in one token, a third cheaper; by the receiver or
    ///         its authorizer. A row is cut to what its channel has, so that no payer's withdrawal
    ///         undoes a batch; one that claims no more than is claimed already does nothing.
    /// @param receiver The receiver of all rows.
    /// @param receiverAuthorizer Its authorizer in all rows.
    /// @param token The token of all rows.
    /// @param rows Of `PACKED_ROW` bytes each: payer 20, payerAuthorizer 20, withdrawDelay 5, salt
    ///        32, maxClaimableAmount 16, totalClaimed 16, signature 64 (r, then s with the parity in
    ///        its highest bit, EIP-2098), by a key: of payerAuthorizer, or of payer if that is zero.
    function claimPacked(
        address receiver,
        address receiverAuthorizer,
        address token,
        bytes calldata rows
    ) external {
        require(
            msg.sender == receiver || msg.sender == receiverAuthorizer, NotReceiver(0, msg.sender)
        );
        require(rows.length % PACKED_ROW == 0, BadRows(rows.length));
        bytes32 separator = DOMAIN_SEPARATOR();
        // a config to be filled in with what differs from row to row
        bytes memory config =
            abi.encode(CONFIG, bytes32(0), bytes32(0), receiver, receiverAuthorizer, token, 0, 0);
        Tally memory tally = Tally(receiver, token, 0);
        for (uint256 start; start < rows.length; start += PACKED_ROW) {
            tally.gained += _claimRow(separator, config, rows[start:start + PACKED_ROW]);
        }
        _credit(tally);
    }

    /// @notice Pay a receiver what it claimed of a token and was not paid yet. Anyone may; with
    ///         nothing to pay it does nothing.
    function settle(address receiver, address token) external nonReentrant {
        Receiver storage account = receivers[receiver][token];
        uint128 amount = account.totalClaimed - account.totalSettled;
        if (amount == 0) return;
        account.totalSettled = account.totalClaimed;
        emit Settled(receiver, token, msg.sender, amount);
        IERC20(token).safeTransfer(receiver, amount);
    }

    // taking back

    /// @notice Ask for money back; by the payer or its authorizer.
    /// @param config The channel.
    /// @param amount How much, at most what is not claimed; 2^128 - 1 for all of that.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external {
        bytes32 id = _channelId(DOMAIN_SEPARATOR(), config);
        _checkPayer(id, config);
        uint128 available = _available(_channels[id]);
        if (amount == ALL) amount = available;
        require(amount != 0, NoAmount());
        require(amount <= available, AboveBalance(id, amount, available));
        uint40 pendingSince = pendingWithdrawals[id].initiatedAt;
        require(
            pendingSince == 0 || msg.sender == config.payer,
            WithdrawalPending(id, pendingSince + config.withdrawDelay)
        );
        pendingWithdrawals[id] = PendingWithdrawal(amount, uint40(block.timestamp));
        emit WithdrawInitiated(id, amount, uint40(block.timestamp) + config.withdrawDelay);
    }

    /// @notice Give the payer what it asked back, as far as it is not claimed, once the delay has
    ///         passed; by the payer or its authorizer.
    function finalizeWithdraw(ChannelConfig calldata config) external nonReentrant {
        bytes32 id = _channelId(DOMAIN_SEPARATOR(), config);
        _checkPayer(id, config);
        PendingWithdrawal memory pending = pendingWithdrawals[id];
        uint40 until =
            pending.initiatedAt == 0 ? 0 : pending.initiatedAt + config.withdrawDelay;
        require(until != 0 && block.timestamp >= until, WithdrawalNotDue(id, until));
        delete pendingWithdrawals[id];
        uint128 amount = _takeBack(id, pending.amount);
        emit WithdrawFinalized(id, amount);
        _pay(config, amount);
    }

    /// @notice Give the payer money back at once, at most what is not claimed; by the receiver or
    ///         its authorizer.
    function refund(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        bytes32 id = _channelId(DOMAIN_SEPARATOR(), config);
        _checkReceiver(id, config);
        _refund(id, config, amount, refundNonce[id]);
    }

    /// @notice Give the payer money back at once by the signature of the receiver's authorizer over
    ///         channel, nonce and amount. Anyone may submit it.
    function refundWithSignature(
        ChannelConfig calldata config,
        uint128 amount,
        uint256 nonce,
        bytes calldata receiverAuthorizerSignature
    ) external nonReentrant {
        bytes32 separator = DOMAIN_SEPARATOR();
        bytes32 id = _channelId(separator, config);
        require(nonce == refundNonce[id], WrongNonce(id, refundNonce[id], nonce));
        bytes32 digest = _refundDigest(separator, id, nonce, amount);
        _checkAuthorized(config.receiverAuthorizer, digest, receiverAuthorizerSignature);
        _refund(id, config, amount, nonce);
    }

    // asking

    /// @notice What was deposited into a channel and not taken back, and what was claimed of that.
    function channels(bytes32 channelId)
        external
        view
        returns (uint128 balance, uint128 totalClaimed)
    {
        uint256 word = _channels[channelId];
        return (_balance(word), _claimed(word));
    }

    /// @notice The id of a channel.
    function getChannelId(ChannelConfig calldata config) external view returns (bytes32) {
        return _channelId(DOMAIN_SEPARATOR(), config);
    }

    /// @notice What a payer signs as a voucher.
    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount)
        external
        view
        returns (bytes32)
    {
        return _voucherDigest(DOMAIN_SEPARATOR(), channelId, maxClaimableAmount);
    }

    /// @notice What a receiver's authorizer signs to refund.
    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount)
        external
        view
        returns (bytes32)
    {
        return _refundDigest(DOMAIN_SEPARATOR(), channelId, nonce, amount);
    }

    /// @notice What a receiver's authorizer signs to claim.
    function getClaimBatchDigest(VoucherClaim[] calldata voucherClaims)
        external
        view
        returns (bytes32)
    {
        bytes32 separator = DOMAIN_SEPARATOR();
        bytes32[] memory entries = new bytes32[](voucherClaims.length);
        for (uint256 i; i < voucherClaims.length; ++i) {
            VoucherClaim calldata row = voucherClaims[i];
            bytes32 id = _channelId(separator, row.voucher.channel);
            entries[i] = _entryHash(id, row.voucher.maxClaimableAmount, row.totalClaimed);
        }
        return _batchDigest(separator, entries);
    }

    // inner workings

    /// @dev Claims one row into the tally, which is written when the receiver or token changes.
    function _claim(
        bytes32 separator,
        bytes32 id,
        VoucherClaim calldata row,
        Tally memory tally
    ) private {
        ChannelConfig calldata config = row.voucher.channel;
        uint128 maximum = row.voucher.maxClaimableAmount;
        uint128 total = row.totalClaimed;
        uint256 word = _channels[id];
        if (total <= _claimed(word)) return;
        require(total <= maximum, AboveVoucher(id, total, maximum));
        require(total <= _balance(word), AboveBalance(id, total, _balance(word)));
        bytes32 digest = _voucherDigest(separator, id, maximum);
        require(_isPayers(config, digest, row.signature), BadVoucher(id));
        if (tally.receiver != config.receiver || tally.token != config.token) {
            _credit(tally);
            tally.receiver = config.receiver;
            tally.token = config.token;
            tally.gained = 0;
        }
        tally.gained += _raise(id, word, total);
    }

    /// @dev Claims one packed row and returns by how much its channel's total grew.
    function _claimRow(bytes32 separator, bytes memory config, bytes calldata row)
        private
        returns (uint128)
    {
        bytes32 id;
        address signer;
        uint128 maximum;
        uint128 total;
        bytes32 r;
        bytes32 vs;
        assembly ("memory-safe") {
            let place := row.offset
            let payer := shr(96, calldataload(place))
            signer := shr(96, calldataload(add(place, 20)))
            mstore(add(config, 64), payer)
            mstore(add(config, 96), signer)
            mstore(add(config, 224), shr(216, calldataload(add(place, 40))))
            mstore(add(config, 256), calldataload(add(place, 45)))
            if iszero(signer) { signer := payer }
            maximum := shr(128, calldataload(add(place, 77)))
            total := shr(128, calldataload(add(place, 93)))
            r := calldataload(add(place, 109))
            vs := calldataload(add(place, 141))
        }
        id = MessageHashUtils.toTypedDataHash(separator, keccak256(config));
        uint256 word = _channels[id];
        if (total <= _claimed(word)) return 0;
        require(total <= maximum, AboveVoucher(id, total, maximum));
        (address found,,) = ECDSA.tryRecover(_voucherDigest(separator, id, maximum), r, vs);
        require(found == signer && found != address(0), BadVoucher(id));
        if (total > _balance(word)) total = _balance(word);
        return total <= _claimed(word) ? 0 : _raise(id, word, total);
    }

    /// @dev Writes a channel's new total and returns by how much it grew.
    function _raise(bytes32 id, uint256 word, uint128 total) private returns (uint128) {
        _channels[id] = (uint256(total) << 128) | _balance(word);
        emit Claimed(id, total);
        return total - _claimed(word);
    }

    /// @dev Writes what a receiver gained.
    function _credit(Tally memory tally) private {
        if (tally.gained == 0) return;
        Receiver storage account = receivers[tally.receiver][tally.token];
        account.totalClaimed += tally.gained;
    }

    function _refund(bytes32 id, ChannelConfig calldata config, uint128 amount, uint256 nonce)
        private
    {
        require(amount != 0, NoAmount());
        refundNonce[id] = nonce + 1;
        amount = _takeBack(id, amount);
        uint128 pending = pendingWithdrawals[id].amount;
        // what was asked back is had already, as far as this goes
        if (pending != 0) {
            if (amount >= pending) delete pendingWithdrawals[id];
            else pendingWithdrawals[id].amount = pending - amount;
        }
        emit Refunded(id, nonce, amount);
        _pay(config, amount);
    }

    /// @dev Takes up to `amount` out of a channel and returns how much there was.
    function _takeBack(bytes32 id, uint128 amount) private returns (uint128) {
        uint256 word = _channels[id];
        uint128 available = _available(word);
        if (amount > available) amount = available;
        if (amount != 0) _channels[id] = word - amount;
        return amount;
    }

    function _pay(ChannelConfig calldata config, uint128 amount) private {
        if (amount != 0) IERC20(config.token).safeTransfer(config.payer, amount);
    }

    function _checkReceiver(bytes32 id, ChannelConfig calldata config) private view {
        require(
            msg.sender == config.receiver || msg.sender == config.receiverAuthorizer,
            NotReceiver(id, msg.sender)
        );
    }

    function _checkPayer(bytes32 id, ChannelConfig calldata config) private view {
        require(
            msg.sender == config.payer || msg.sender == config.payerAuthorizer,
            NotPayer(id, msg.sender)
        );
    }

    function _checkAuthorized(address authorizer, bytes32 digest, bytes calldata signature)
        private
        view
    {
        require(
            SignatureChecker.isValidSignatureNowCalldata(authorizer, digest, signature),
            NotAuthorized(authorizer)
        );
    }

    /// @dev An authorizer is a key; a payer without one may be a contract.
    function _isPayers(ChannelConfig calldata config, bytes32 digest, bytes calldata signature)
        private
        view
        returns (bool)
    {
        address signer = config.payerAuthorizer;
        if (signer == address(0)) {
            return SignatureChecker.isValidSignatureNowCalldata(config.payer, digest, signature);
        }
        (address found,,) = ECDSA.tryRecoverCalldata(digest, signature);
        return found == signer;
    }

    function _checkConfig(ChannelConfig calldata config) private view {
        require(config.payer != address(0), BadConfig(NO_PAYER));
        require(config.receiver != address(0), BadConfig(NO_RECEIVER));
        require(config.receiverAuthorizer != address(0), BadConfig(NO_AUTHORIZER));
        require(
            config.withdrawDelay >= MIN_WITHDRAW_DELAY
                && config.withdrawDelay <= MAX_WITHDRAW_DELAY,
            BadConfig(DELAY_OUT_OF_RANGE)
        );
        require(config.token.code.length != 0, BadConfig(NO_TOKEN));
    }

    /// @dev The digest of the calldata as it is. Words that are not clean encodings of their types
    ///      make an id that no channel has, because ChannelCreated encodes checked values.
    function _channelId(bytes32 separator, ChannelConfig calldata config)
        private
        pure
        returns (bytes32)
    {
        bytes32 hashed;
        bytes32 kind = CONFIG;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, kind)
            calldatacopy(add(free, 32), config, 224)
            hashed := keccak256(free, 256)
        }
        return MessageHashUtils.toTypedDataHash(separator, hashed);
    }

    function _voucherDigest(bytes32 separator, bytes32 id, uint128 maximum)
        private
        pure
        returns (bytes32)
    {
        bytes32 hashed = keccak256(abi.encode(VOUCHER, id, maximum));
        return MessageHashUtils.toTypedDataHash(separator, hashed);
    }

    function _refundDigest(bytes32 separator, bytes32 id, uint256 nonce, uint128 amount)
        private
        pure
        returns (bytes32)
    {
        bytes32 hashed = keccak256(abi.encode(REFUND, id, nonce, amount));
        return MessageHashUtils.toTypedDataHash(separator, hashed);
    }

    function _entryHash(bytes32 id, uint128 maximum, uint128 total)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(CLAIM_ENTRY, id, maximum, total));
    }

    function _batchDigest(bytes32 separator, bytes32[] memory entries)
        private
        pure
        returns (bytes32)
    {
        bytes32 hashed = keccak256(abi.encode(CLAIM_BATCH, keccak256(abi.encodePacked(entries))));
        return MessageHashUtils.toTypedDataHash(separator, hashed);
    }

    /// @dev What can be claimed, withdrawn or refunded.
    function _available(uint256 word) private pure returns (uint128) {
        return _balance(word) - _claimed(word);
    }

    function _balance(uint256 word) private pure returns (uint128) {
        return uint128(word);
    }

    function _claimed(uint256 word) private pure returns (uint128) {
        return uint128(word >> 128);
    }

    function _domainName() internal pure override returns (bytes32) {
        return NAME;
    }
}
