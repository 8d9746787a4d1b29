"""The API: JSON resources for people and programs, and a door for webhooks. One router per noun."""
