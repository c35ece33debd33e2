"""`longshore bench`: measurements that anyone can repeat on their own machine."""
