"""A party's HTTP service: catalogue, terms, delivery."""
