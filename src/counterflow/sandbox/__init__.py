"""The simulated retail world: shop, till, warehouse, payment provider, bank, ERP, and the people who use them."""
