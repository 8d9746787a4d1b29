"""The simulated retail world: a shop, a till, a warehouse, a payment provider, a bank, an ERP, and people who use them."""
