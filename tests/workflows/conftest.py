from run_fixtures import cnn, denoiser, linear, pixelcnn, runs, vae, vqvae, workspace

__all__ = ["cnn", "denoiser", "linear", "pixelcnn", "runs", "vae", "vqvae", "workspace"]
