"""A store till: returns at the counter, cash and card refunds, over signed events and a small REST API."""
