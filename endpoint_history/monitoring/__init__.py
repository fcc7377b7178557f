"""Status and health: is history being kept?"""
