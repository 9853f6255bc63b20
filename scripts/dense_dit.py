"""The dense denoiser in plain PyTorch, with the state-dict names of a checkpoint.

Written after the description of the network, for measuring and checking against: scripts/bench-lora-step and
scripts/peft_check. Rotary positions, shared modulation and per-head RMS norms, as the released networks have them.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class HeadRmsNorm(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.scale = math.sqrt(width)
        self.gamma = nn.Parameter(torch.ones(heads, width))

    def forward(self, x):
        return (F.normalize(x.float(), dim=-1) * self.gamma * self.scale).to(x.dtype)


class SelfAttention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.to_out = nn.Linear(channels, channels)
        self.q_rms_norm = HeadRmsNorm(channels // heads, heads)
        self.k_rms_norm = HeadRmsNorm(channels // heads, heads)

    def forward(self, x, phases):
        batch, tokens, channels = x.shape
        qkv = self.to_qkv(x).view(batch, tokens, 3, self.heads, channels // self.heads)
        q, k, v = qkv.unbind(dim=2)
        q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        q, k = rotate(q, phases), rotate(k, phases)
        h = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.to_out(h.transpose(1, 2).reshape(batch, tokens, channels))


class CrossAttention(nn.Module):
    def __init__(self, channels, cond_channels, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_kv = nn.Linear(cond_channels, 2 * channels)
        self.to_out = nn.Linear(channels, channels)
        self.q_rms_norm = HeadRmsNorm(channels // heads, heads)
        self.k_rms_norm = HeadRmsNorm(channels // heads, heads)

    def forward(self, x, cond):
        batch, tokens, channels = x.shape
        q = self.to_q(x).view(batch, tokens, self.heads, -1)
        k, v = self.to_kv(cond).view(batch, cond.shape[1], 2, self.heads, -1).unbind(dim=2)
        q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        h = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.to_out(h.transpose(1, 2).reshape(batch, tokens, channels))


class FeedForward(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, channels))

    def forward(self, x):
        return self.mlp(x)


class Block(nn.Module):
    def __init__(self, channels, cond_channels, heads, hidden):
        super().__init__()
        self.modulation = nn.Parameter(torch.zeros(6 * channels))
        self.norm1 = nn.LayerNorm(channels, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(channels, elementwise_affine=True, eps=1e-6)
        self.norm3 = nn.LayerNorm(channels, elementwise_affine=False, eps=1e-6)
        self.self_attn = SelfAttention(channels, heads)
        self.cross_attn = CrossAttention(channels, cond_channels, heads)
        self.mlp = FeedForward(channels, hidden)

    def forward(self, x, mod, cond, phases):
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + mod).unsqueeze(1).chunk(6, dim=-1)
        x = x + gate1 * self.self_attn(self.norm1(x) * (1 + scale1) + shift1, phases)
        x = x + self.cross_attn(self.norm2(x), cond)
        return x + gate2 * self.mlp(self.norm3(x) * (1 + scale2) + shift2)


class TimestepEmbedder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, channels), nn.SiLU(), nn.Linear(channels, channels))

    def forward(self, t):
        frequencies = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        angles = t[:, None].float() * frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))


def rope_phases(resolution, head_dim):
    slots = head_dim // 2
    count = slots // 3
    frequencies = 1.0 / 10000 ** (torch.arange(count, dtype=torch.float32) / count)
    axis = torch.arange(resolution)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3).float()
    angles = F.pad((grid[:, :, None] * frequencies).flatten(1), (0, slots - 3 * count))
    return torch.polar(torch.ones_like(angles), angles)[None, :, None, :]


def rotate(x, phases):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * phases).flatten(-2).to(x.dtype)


class DenseDit(nn.Module):
    """x [B, in, R, R, R], t [B] times 1000, cond [B, L, Cc] -> [B, out, R, R, R]."""

    def __init__(self, config):
        super().__init__()
        channels, heads = config["model_channels"], config["num_heads"]
        hidden = int(channels * config["mlp_ratio"])
        self.t_embedder = TimestepEmbedder(channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(channels, 6 * channels))
        self.input_layer = nn.Linear(config["in_channels"], channels)
        self.blocks = nn.ModuleList(
            Block(channels, config["cond_channels"], heads, hidden) for _ in range(config["num_blocks"]))
        self.out_layer = nn.Linear(channels, config["out_channels"])
        self.phases = rope_phases(config["resolution"], channels // heads)

    def forward(self, x, t, cond):
        batch, _, r, _, _ = x.shape
        h = self.input_layer(x.flatten(2).transpose(1, 2))
        mod = self.adaLN_modulation(self.t_embedder(t))
        for block in self.blocks:
            h = block(h, mod, cond, self.phases)
        h = self.out_layer(F.layer_norm(h, h.shape[-1:]))
        return h.transpose(1, 2).reshape(batch, -1, r, r, r)
