"""Statements, anchors, lineage, bundles and their verification."""
