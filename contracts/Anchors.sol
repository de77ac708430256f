// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Anchors: signed heads of append-only logs, fixed in time
/// @notice An account anchors the size and the RFC 6962 root of its logs. A size only grows, so an
///         owner cannot anchor a shorter log, nor two heads of one size.
/// @dev The ledger cannot see that a longer log extends a shorter one: whoever reads two anchors
///      asks the log for a consistency proof. What is ruled out here is going back.
///
///      A head takes one word: the size and the first 24 bytes of the root. The event has the whole
///      root and is what proofs are made from. A second word would cost 5,000 gas an anchor. To give
///      one stored head two meanings, an owner must find two trees of one size whose roots agree in
///      192 bits (2^96 work), and still has only one event.
contract Anchors {
    /// @dev Size in the upper 64 bits, root prefix in the lower 192.
    mapping(address sender => mapping(bytes32 name => uint256 packedHead)) private _heads;

    /// @notice `sender` anchored the head of its log called `name`.
    event Anchored(address indexed sender, bytes32 indexed name, uint64 size, bytes32 root);

    /// @notice `sender` noted `digest`.
    event Noted(address indexed sender, bytes32 indexed digest);

    /// @notice The head to anchor is not larger than the anchored one.
    error NotGrowing(bytes32 name, uint64 anchored, uint64 size);

    /// @notice Anchor a head of one of the caller's logs.
    /// @dev The same head again is refused as well: it would pay for nothing, and who asks for it
    ///      has lost track of what is anchored.
    /// @param name keccak256 of the log's origin line.
    /// @param size How many entries the log has, more than at the last anchor.
    /// @param root The RFC 6962 root over them.
    function anchor(bytes32 name, uint64 size, bytes32 root) external {
        uint64 anchored = uint64(_heads[msg.sender][name] >> 192);
        require(size > anchored, NotGrowing(name, anchored, size));
        _heads[msg.sender][name] = (uint256(size) << 192) | (uint256(root) >> 64);
        emit Anchored(msg.sender, name, size, root);
    }

    /// @notice Fix any digest in time, by an event alone.
    /// @dev Nothing is stored, so no contract can read it back: the proof is the receipt.
    function note(bytes32 digest) external {
        emit Noted(msg.sender, digest);
    }

    /// @notice The last anchored head of a log.
    /// @return size The number of entries, 0 if the log was never anchored.
    /// @return rootPrefix The first 24 bytes of the root.
    function head(address sender, bytes32 name)
        external
        view
        returns (uint64 size, bytes24 rootPrefix)
    {
        uint256 packed = _heads[sender][name];
        return (uint64(packed >> 192), bytes24(uint192(packed)));
    }
}
