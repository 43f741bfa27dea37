//! What can be fetched: addresses, lengths and sums, as they were published.

use crate::{FetchError, Result};

/// A data set that is published as one file or several.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name on the command line.
    pub name: &'a str,
    /// The folder on the network in which its files are.
    pub address: &'a str,
    /// Its files.
    pub files: &'a [RemoteFile<'a>],
}

/// A file as it is published.
#[derive(Debug, Clone, Copy)]
pub struct RemoteFile<'a> {
    /// Its name, there and here.
    pub name: &'a str,
    /// Its length in bytes.
    pub size: u64,
    /// Its MD5, in lower-case hexadecimal.
    pub md5: &'a str,
    /// What to make of it.
    pub contents: Contents<'a>,
}

/// What a published file holds.
#[derive(Debug, Clone, Copy)]
pub enum Contents<'a> {
    /// The data.
    Itself,
    /// An archive that is unpacked and then removed.
    TarGz {
        /// The folder in it in which the members are.
        folder: &'a str,
        /// What is taken from it; anything else in it is left.
        members: &'a [Member<'a>],
    },
}

/// A file in an archive.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its name, without folders.
    pub name: &'a str,
    /// Its length in bytes.
    pub size: u64,
    /// Its MD5 in lower-case hexadecimal, where one is known.
    pub md5: Option<&'a str>,
}

const fn batch<'a>(name: &'a str, md5: &'a str) -> Member<'a> {
    Member { name, size: 30_730_000, md5: Some(md5) }
}

/// Every data set that can be fetched.
pub const SOURCES: [Source<'static>; 3] = [
    Source {
        name: "cifar10",
        address: "https://www.cs.toronto.edu/~kriz",
        files: &[RemoteFile {
            name: "cifar-10-binary.tar.gz",
            size: 170_052_171,
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
            contents: Contents::TarGz {
                folder: "cifar-10-batches-bin",
                members: &[
                    batch("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
                    batch("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
                    batch("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
                    batch("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
                    batch("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
                    batch("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"),
                ],
            },
        }],
    },
    Source {
        name: "cifar100",
        address: "https://www.cs.toronto.edu/~kriz",
        files: &[RemoteFile {
            name: "cifar-100-binary.tar.gz",
            size: 168_513_733,
            md5: "03b5dce01913d631647c71ecec9e9cb8",
            contents: Contents::TarGz {
                folder: "cifar-100-binary",
                // The publisher gives a sum for the archive alone.
                members: &[
                    Member { name: "train.bin", size: 153_700_000, md5: None },
                    Member { name: "test.bin", size: 30_740_000, md5: None },
                ],
            },
        }],
    },
    Source {
        name: "svhn",
        address: "http://ufldl.stanford.edu/housenumbers",
        files: &[
            RemoteFile {
                name: "train_32x32.mat",
                size: 182_040_794,
                md5: "e26dedcc434d2e4c54c9b2d4a06d8373",
                contents: Contents::Itself,
            },
            RemoteFile {
                name: "test_32x32.mat",
                size: 64_275_384,
                md5: "eb5a983be6a315427106f1b164d9cef3",
                contents: Contents::Itself,
            },
        ],
    },
];

impl Source<'_> {
    /// Where a file is downloaded from: the published address, or a mirror: the folder that has the
    /// files, or, where there is only one, the file itself.
    ///
    /// # Errors
    /// An address that is not of the web.
    pub(crate) fn address_of(&self, file: &RemoteFile<'_>, mirror: Option<&str>) -> Result<String> {
        let folder = mirror.unwrap_or(self.address).trim_end_matches('/');
        let names_the_file = folder.rsplit('/').next() == Some(file.name);
        let address = match names_the_file && self.files.len() == 1 {
            true => folder.to_owned(),
            false => format!("{folder}/{}", file.name),
        };
        let is_of_the_web = address.parse::<ureq::http::Uri>().is_ok_and(|uri| {
            uri.host().is_some_and(|host| !host.is_empty())
                && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        match is_of_the_web {
            true => Ok(address),
            false => {
                Err(FetchError::Address { address: mirror.unwrap_or(self.address).to_owned() })
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_written_down_whole() {
        for source in &SOURCES {
            for file in source.files {
                let plain = |sum: &str| {
                    sum.len() == 32 && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                };
                assert!(plain(file.md5), "{}", file.name);
                if let Contents::TarGz { members, .. } = file.contents {
                    assert!(members.iter().all(|member| member.md5.is_none_or(plain)));
                }
                source.address_of(file, None).unwrap();
            }
        }
    }

    #[test]
    fn a_mirror_is_a_folder_or_the_one_file() {
        let [cifar, _, svhn] = &SOURCES;
        let address = |source: &Source<'_>, mirror| {
            source.address_of(&source.files[0], Some(mirror)).unwrap()
        };
        let whole = "http://a.b/c/cifar-10-binary.tar.gz";
        assert_eq!(address(cifar, "http://a.b/c"), whole);
        assert_eq!(address(cifar, "http://a.b/c/"), whole);
        assert_eq!(address(cifar, whole), whole);
        assert_eq!(address(svhn, "http://a.b:80"), "http://a.b:80/train_32x32.mat");
        for wrong in ["", "a.b/c", "ftp://a.b/c", "file:///c", "http://", "http:// a/b", "https:/a"]
        {
            let error = cifar.address_of(&cifar.files[0], Some(wrong)).unwrap_err();
            assert!(error.is_input() && error.to_string().contains("http://"), "{wrong}: {error}");
        }
    }
}
