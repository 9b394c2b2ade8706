"""More models than memory under random requests: what is asked, what is watched from outside, what is judged."""
