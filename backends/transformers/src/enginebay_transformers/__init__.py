"""EngineBay."""
