// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Multicall3: several questions in one call
/// @notice The functions of the contract of this name that clients call at its well-known address.
/// @dev Written anew and smaller. Unlike the first, it takes no coin: it has no use for any, and
///      whoever called next could have taken what was left here. Nobody should give this contract
///      rights or tokens, because it calls whatever anyone tells it to.
contract Multicall3 {
    struct Call {
        address target;
        bytes callData;
    }

    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }

    struct Result {
        bool success;
        bytes returnData;
    }

    /// @notice Make calls, each of which may fail if it says so.
    function aggregate3(Call3[] calldata calls) external returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            results[i] = _call(calls[i].target, calls[i].callData, !calls[i].allowFailure);
        }
    }

    /// @notice Make calls, all of which must succeed, or none.
    function tryAggregate(bool requireSuccess, Call[] calldata calls)
        external
        returns (Result[] memory results)
    {
        results = new Result[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            results[i] = _call(calls[i].target, calls[i].callData, requireSuccess);
        }
    }

    /// @notice Make calls that must all succeed.
    /// @return blockNumber Of which block the answers are.
    /// @return returnData The answers.
    function aggregate(Call[] calldata calls)
        external
        returns (uint256 blockNumber, bytes[] memory returnData)
    {
        blockNumber = block.number;
        returnData = new bytes[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            returnData[i] = _call(calls[i].target, calls[i].callData, true).returnData;
        }
    }

    /// @notice How much of the chain's coin an account has.
    function getEthBalance(address account) external view returns (uint256) {
        return account.balance;
    }

    /// @notice The block this is asked in.
    function getBlockNumber() external view returns (uint256) {
        return block.number;
    }

    /// @notice Its time, in seconds since 1970.
    function getCurrentBlockTimestamp() external view returns (uint256) {
        return block.timestamp;
    }

    /// @notice The chain's id.
    function getChainId() external view returns (uint256) {
        return block.chainid;
    }

    /// @dev A call that fails though it must not is what everything here then reverts with.
    function _call(address target, bytes calldata data, bool mustSucceed)
        private
        returns (Result memory result)
    {
        (result.success, result.returnData) = target.call(data);
        if (mustSucceed && !result.success) {
            bytes memory reason = result.returnData;
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }
}
