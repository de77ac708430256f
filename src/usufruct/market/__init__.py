"""Offers, licences, splits, income: the rules of buying and selling, without I/O of their own."""
