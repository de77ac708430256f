// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Tokens and accounts that misbehave, one fault each. For tests alone.

/// A contract that makes calls prepared by the test at the worst moment, and logs how they ended.
/// Logs, because a payee is pushed coins with little gas and a word of storage costs half of it.
abstract contract Armed {
    struct Attack {
        address target;
        uint256 value;
        bytes data;
    }

    Attack[] private _attacks;
    bool private _striking;

    event Struck(uint256 index, bool ok, bytes4 selector);

    function arm(address target, uint256 value, bytes calldata data) external {
        _attacks.push(Attack(target, value, data));
    }

    function disarm() external {
        delete _attacks;
    }

    function execute(address target, uint256 value, bytes calldata data) external payable {
        (bool ok, bytes memory answer) = target.call{value: value}(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    function _strike() internal {
        if (_striking) return;
        _striking = true;
        for (uint256 i; i < _attacks.length; ++i) {
            Attack memory attack = _attacks[i];
            (bool ok, bytes memory answer) = attack.target.call{value: attack.value}(attack.data);
            emit Struck(i, ok, answer.length < 4 ? bytes4(0) : bytes4(answer));
        }
        _striking = false;
    }
}

/// An honest ERC-20 to be spoilt by those below; anyone mints.
contract PlainToken {
    mapping(address account => uint256 amount) internal _balances;
    mapping(address account => mapping(address spender => uint256 amount)) public allowance;
    uint8 public constant decimals = 6;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    function mint(address to, uint256 amount) external {
        _balances[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function balanceOf(address account) external view virtual returns (uint256) {
        return _balances[account];
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount)
        external
        virtual
        returns (bool)
    {
        _spend(from, amount);
        _move(from, to, amount);
        return true;
    }

    function _spend(address from, uint256 amount) internal {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= amount, "allowance");
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        require(_balances[from] >= amount, "balance");
        _balances[from] -= amount;
        _balances[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// Keeps a hundredth of each transfer.
contract FeeToken is PlainToken {
    function _move(address from, address to, uint256 amount) internal override {
        uint256 fee = amount / 100;
        super._move(from, to, amount - fee);
        super._move(from, address(0xfee), fee);
    }
}

/// Takes a hundredth more from the sender than it was told to send.
contract SurchargeToken is PlainToken {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        super._move(from, address(0xfee), amount / 100);
    }
}

/// Answers false and moves nothing, in place of a revert.
contract FalseToken is PlainToken {
    function transfer(address, uint256) external pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) external pure override returns (bool) {
        return false;
    }
}

/// Answers false though it moved the money.
contract FalseButPaidToken is PlainToken {
    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        return false;
    }
}

/// Answers nothing, as USDT does; honest otherwise.
contract SilentToken {
    mapping(address account => uint256 amount) public balanceOf;
    mapping(address account => mapping(address spender => uint256 amount)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function approve(address spender, uint256 amount) external {
        require(amount == 0 || allowance[msg.sender][spender] == 0, "set to zero first");
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        require(allowance[from][msg.sender] >= amount, "allowance");
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        require(balanceOf[from] >= amount, "balance");
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// Refuses to pay whom its issuer blocked.
contract BlockingToken is PlainToken {
    mapping(address account => bool blocked) public blocked;

    function setBlocked(address account, bool value) external {
        blocked[account] = value;
    }

    function _move(address from, address to, uint256 amount) internal override {
        require(!blocked[to] && !blocked[from], "blocked");
        super._move(from, to, amount);
    }
}

/// Calls back whoever the test names, before or after the money moves.
contract ReenteringToken is PlainToken, Armed {
    bool public late;

    function setLate(bool value) external {
        late = value;
    }

    function onERC1155Received(address, address, uint256, uint256, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        return this.onERC1155Received.selector;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (!late) _strike();
        super._move(from, to, amount);
        if (late) _strike();
    }
}

/// Burns all gas it is given where `to` is the chosen account.
contract BurningToken is PlainToken {
    address public victim;

    function setVictim(address account) external {
        victim = account;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (to == victim) while (true) {}
        super._move(from, to, amount);
    }
}

/// Answers with very much data to `transfer`, all of it memory that a careless caller copies.
contract VerboseToken is PlainToken {
    uint256 public size;
    bool public refuses;

    function setSize(uint256 value, bool refuses_) external {
        size = value;
        refuses = refuses_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (!refuses) _move(msg.sender, to, amount);
        uint256 length = size;
        bool failing = refuses;
        assembly {
            mstore(0, 1)
            if failing { revert(0, length) }
            return(0, length)
        }
    }
}

/// Says of chosen accounts that they hold more or less than they do.
contract LyingToken is PlainToken {
    mapping(address account => int256 lie) public lies;

    function setLie(address account, int256 lie) external {
        lies[account] = lie;
    }

    function balanceOf(address account) external view override returns (uint256) {
        int256 said = int256(_balances[account]) + lies[account];
        return said < 0 ? 0 : uint256(said);
    }
}

/// Reverts on balanceOf once told so.
contract MuteToken is PlainToken {
    bool public mute;

    function setMute(bool value) external {
        mute = value;
    }

    function balanceOf(address account) external view override returns (uint256) {
        require(!mute, "mute");
        return _balances[account];
    }
}

/// Its permit always reverts, and its 3009 takes the payer's money without looking at a signature.
contract FakePermitToken is PlainToken {
    function permit(address, address, uint256, uint256, uint8, bytes32, bytes32) external pure {
        revert("no permit");
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        bytes calldata
    ) external {
        _move(from, to, value);
    }
}

/// Its permit and receiveWithAuthorization do nothing at all and say nothing.
contract IdlePermitToken is PlainToken {
    fallback() external {}
}

/// An account with code: signs by its owner's key (EIP-1271), may refuse, burn, flood or call back.
contract Account is Armed {
    enum Mood {
        ACCEPT,
        REFUSE,
        BURN,
        FLOOD,
        STRIKE
    }

    address public immutable owner;
    Mood public onCoins;
    Mood public onLicence;

    constructor(address owner_) {
        owner = owner_;
    }

    function setMoods(Mood coins, Mood licence) external {
        onCoins = coins;
        onLicence = licence;
    }

    receive() external payable {
        _react(onCoins);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        if (signature.length != 65) return 0;
        bytes32 r = bytes32(signature[:32]);
        bytes32 s = bytes32(signature[32:64]);
        bool good = ecrecover(digest, uint8(signature[64]), r, s) == owner;
        return good ? this.isValidSignature.selector : bytes4(0);
    }

    function onERC1155Received(address, address, uint256, uint256, bytes calldata)
        external
        returns (bytes4)
    {
        _react(onLicence);
        return this.onERC1155Received.selector;
    }

    function onERC1155BatchReceived(
        address,
        address,
        uint256[] calldata,
        uint256[] calldata,
        bytes calldata
    ) external returns (bytes4) {
        _react(onLicence);
        return this.onERC1155BatchReceived.selector;
    }

    function supportsInterface(bytes4) external pure returns (bool) {
        return true;
    }

    function _react(Mood mood) private {
        if (mood == Mood.REFUSE) revert("refused");
        if (mood == Mood.BURN) while (true) {}
        if (mood == Mood.FLOOD) {
            assembly {
                revert(0, 60000)
            }
        }
        if (mood == Mood.STRIKE) _strike();
    }
}

/// An account with code that knows nothing of licences or signatures.
contract Stone {
    receive() external payable {}
}

/// Answers many questions in one call, so that a check after each step costs one round trip.
/// In: target (20 bytes), length (1), call data, again and again; length 0 asks for coins.
/// Out: length (2 bytes) and answer of each. Packed, because an ABI coder is slow in Python.
contract Probe {
    fallback() external {
        assembly ("memory-safe") {
            let start := mload(64)
            let out := start
            for { let at := 0 } lt(at, calldatasize()) {} {
                let word := calldataload(at)
                let target := shr(96, word)
                let size := byte(20, word)
                at := add(at, 21)
                switch size
                case 0 {
                    mstore(out, shl(240, 32))
                    mstore(add(out, 2), balance(target))
                    out := add(out, 34)
                }
                default {
                    calldatacopy(out, at, size)
                    if iszero(staticcall(gas(), target, out, size, 0, 0)) { revert(0, 0) }
                    mstore(out, shl(240, returndatasize()))
                    returndatacopy(add(out, 2), 0, returndatasize())
                    out := add(out, add(2, returndatasize()))
                    at := add(at, size)
                }
            }
            return(start, sub(out, start))
        }
    }
}
