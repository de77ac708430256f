// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IDepositCollector} from "./IDepositCollector.sol";

/// @notice The part of EIP-3009 that a deposit needs, with the signature in one piece.
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

/// @title DepositCollector: deposits by a signed EIP-3009 payment
/// @notice The payer signs a payment to this contract whose nonce names the channel; whoever submits
///         it can change neither the amount nor the channel.
/// @dev Reasons, in the order a reader may ask:
///
///      This contract trusts one caller, at the address that x402 gave its batch settlement on every
///      chain. If any contract could call, one could take a payment out of the queue and have it
///      sent to itself. The address is a constant because this code is put into the first block of
///      a ledger, where no constructor runs.
///
///      Nothing stays here: what arrives goes on in the same call. A token that keeps a fee on the
///      way is found out by Channels, which measures what it gets.
contract DepositCollector is IDepositCollector {
    using SafeERC20 for IERC20;

    /// @notice The contract that deposits are fetched for.
    address public constant CHANNELS = 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003;

    /// @notice Only Channels may fetch deposits.
    error NotChannels(address caller);

    /// @inheritdoc IDepositCollector
    /// @param collectorData `abi.encode(uint256 validAfter, uint256 validBefore, uint256 salt,
    ///        bytes signature)`; the nonce of the payment is keccak256 of channel and salt.
    function collect(
        address payer,
        address token,
        uint256 amount,
        bytes32 channelId,
        bytes calldata collectorData
    ) external {
        require(msg.sender == CHANNELS, NotChannels(msg.sender));
        (uint256 validAfter, uint256 validBefore, uint256 salt, bytes memory signature) =
            abi.decode(collectorData, (uint256, uint256, uint256, bytes));
        bytes32 nonce = keccak256(abi.encode(channelId, salt));
        IERC3009(token).receiveWithAuthorization(
            payer, address(this), amount, validAfter, validBefore, nonce, signature
        );
        IERC20(token).safeTransfer(msg.sender, amount);
    }
}
