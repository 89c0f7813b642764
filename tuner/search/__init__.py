"""What every sampler needs: candidates, observations, the match between source and target, designs."""
