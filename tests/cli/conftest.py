from run_fixtures import cnn, denoiser, linear, pixelcnn, runs, vae, workspace

__all__ = ["cnn", "denoiser", "linear", "pixelcnn", "runs", "vae", "workspace"]
