// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What Channels asks of a contract that fetches deposits
/// @dev The ABI of the collectors that go with x402's batch settlement, so that others' work here.
interface IDepositCollector {
    /// @notice Move exactly `amount` of a token from the payer to the caller.
    /// @param payer Whose tokens.
    /// @param token Which.
    /// @param amount How many.
    /// @param channelId For which channel; what the payer signed names it.
    /// @param collectorData What this collector needs, such as a signature.
    function collect(
        address payer,
        address token,
        uint256 amount,
        bytes32 channelId,
        bytes calldata collectorData
    ) external;
}
