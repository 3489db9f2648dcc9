"""From a recipe to trained weights, by one loop that can be killed and resumed."""
