from run_fixtures import cnn, denoiser, linear, runs, vae, workspace

__all__ = ["cnn", "denoiser", "linear", "runs", "vae", "workspace"]
