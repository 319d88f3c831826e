//! S3 and Secrets Manager, as `moto_server` speaks them.

use std::process::{Command, Stdio};

use sandbox::function::Function;
use serde_json::{Value, json};

use crate::tools::{Process, free_port, program, python};

/// One account of its own: a server, a bucket, secrets.
#[derive(Debug)]
pub(crate) struct Aws {
    endpoint: String,
    _process: Process,
}

const ACCOUNT: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "eu-west-1")];

impl Aws {
    /// Starts the server and makes the bucket `lake`.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(program("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command, port);
        let aws = Self { endpoint: format!("http://127.0.0.1:{port}"), _process: process };
        aws.call("s3", "create_bucket(Bucket='lake', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})");
        aws
    }

    /// Calls a service with boto3.
    pub(crate) fn call(&self, service: &str, call: &str) -> Value {
        let script = format!(
            "import boto3, json
client = boto3.client('{service}', endpoint_url='{}', region_name='eu-west-1')
print(json.dumps(client.{call}, default=str))",
            self.endpoint
        );
        python(&script, &ACCOUNT)
    }

    /// Keeps `value` as the secret `name`.
    pub(crate) fn keep_secret(&self, name: &str, value: &str) {
        self.call("secretsmanager", &format!("create_secret(Name='{name}', SecretString='''{value}''')"));
    }

    /// Replaces the value of the secret `name`.
    pub(crate) fn rotate_secret(&self, name: &str, value: &str) {
        self.call("secretsmanager", &format!("put_secret_value(SecretId='{name}', SecretString='''{value}''')"));
    }

    /// The variables that a function needs to reach this account.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let account = ACCOUNT.iter().map(|(name, value)| (*name, (*value).to_owned()));
        account.chain([("AWS_ENDPOINT_URL", self.endpoint.clone())]).collect()
    }

    /// `function` with this account in its environment.
    pub(crate) fn grant(&self, function: Function) -> Function {
        self.environment().iter().fold(function, |function, (name, value)| function.env(name, value))
    }

    /// Copies every object below `prefix` of the bucket into `folder`; gives their number.
    pub(crate) fn download(&self, prefix: &str, folder: &std::path::Path) -> usize {
        let script = format!(
            "import boto3, json, os
client = boto3.client('s3', endpoint_url='{}', region_name='eu-west-1')
count = 0
for page in client.get_paginator('list_objects_v2').paginate(Bucket='lake', Prefix='{prefix}'):
    for listed in page.get('Contents', []):
        path = os.path.join('{}', listed['Key'])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        client.download_file('lake', listed['Key'], path)
        count += 1
print(json.dumps(count))",
            self.endpoint,
            folder.display()
        );
        let count = python(&script, &ACCOUNT);
        assert_ne!(count, json!(null));
        usize::try_from(count.as_u64().unwrap()).unwrap()
    }

    /// Copies every file below `folder` to the bucket.
    pub(crate) fn upload(&self, folder: &std::path::Path) {
        let script = format!(
            "import boto3, json, os
client = boto3.client('s3', endpoint_url='{}', region_name='eu-west-1')
for parent, _, names in os.walk('{folder}'):
    for name in names:
        path = os.path.join(parent, name)
        client.upload_file(path, 'lake', os.path.relpath(path, '{folder}'))
print(json.dumps(None))",
            self.endpoint,
            folder = folder.display()
        );
        python(&script, &ACCOUNT);
    }
}
