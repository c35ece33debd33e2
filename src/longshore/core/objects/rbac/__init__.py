"""Role-based access control as data: the default roles, how roles cover and gather one another."""
