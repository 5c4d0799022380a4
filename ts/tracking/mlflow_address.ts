/** Where an MLflow server is, and who asks. */
import { configError } from "../addon/errors.js";

/** The experiment that runs are of, unless another one is named. */
const EXPERIMENT = "flexible-autoencoder";

/** What MLflow's own clients take besides. Anything else may begin with a secret. */
const OTHER_STORES = /^(file|sqlite|postgresql|mysql|mssql|databricks|\.?\/)/;

/** A server and an experiment on it. */
export interface MlflowServer {
  /** Without a slash at its end, and without who asks. */
  address: string;
  experiment: string;
  /** The header `Authorization`; null without one. */
  authorization: string | null;
  /** What no message may say. */
  secrets: string[];
}

const isGiven = (text: string | undefined): text is string => text !== undefined && text !== "";

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** A part of a URL as it was meant; as it stands where that cannot be told. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Finds the server by what was given and by MLflow's own variables.
 *
 * @param given - An address, or "" for that in `MLFLOW_TRACKING_URI`.
 * @throws FlexaeError `FLEXAE_CONFIG` if it is no address of a server, without what may be a
 *   password.
 */
export function mlflowServer(
  given: string,
  experiment: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): MlflowServer {
  const uri = given === "" ? (env.MLFLOW_TRACKING_URI ?? "") : given;
  if (uri === "") {
    throw configError(
      "Expected the address of an MLflow server: --mlflow http://HOST:5000, or MLFLOW_TRACKING_URI",
    );
  }
  const url = URL.canParse(uri) ? new URL(uri) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    const scheme = OTHER_STORES.exec(uri)?.[0] ?? "something else";
    throw configError(
      `Expected the address of an MLflow server, http://… or https://…, but received ${scheme}`,
    );
  }
  const [user, password] = [decoded(url.username), decoded(url.password)];
  const { MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN } = env;
  let authorization: string | null = null;
  if (user !== "") authorization = basic(user, password);
  else if (isGiven(MLFLOW_TRACKING_USERNAME) && isGiven(MLFLOW_TRACKING_PASSWORD)) {
    authorization = basic(MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD);
  } else if (isGiven(MLFLOW_TRACKING_TOKEN)) authorization = `Bearer ${MLFLOW_TRACKING_TOKEN}`;
  const secrets = [
    // A token may stand where the user does.
    password === "" ? user : "",
    url.password,
    password,
    MLFLOW_TRACKING_PASSWORD,
    MLFLOW_TRACKING_TOKEN,
    authorization?.split(" ")[1],
  ];
  const named = isGiven(experiment) ? experiment : env.MLFLOW_EXPERIMENT_NAME;
  return {
    address: url.origin + url.pathname.replace(/\/+$/, ""),
    experiment: isGiven(named) ? named : EXPERIMENT,
    authorization,
    secrets: secrets.filter(isGiven),
  };
}
