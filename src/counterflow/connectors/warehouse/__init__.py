"""A warehouse: announcements, receipts, inspections and dispositions, over signed events and a small REST API."""
